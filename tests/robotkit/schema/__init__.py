"""Tests of the messages and of what is checked as they are made."""
