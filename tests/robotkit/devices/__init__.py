"""Tests of what all devices have in common."""
