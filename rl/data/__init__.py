"""Transitions: how they are encoded, kept, mixed and brought to the learner."""
