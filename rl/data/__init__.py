"""Transitions: encoding, storage, sampling and mixing."""
