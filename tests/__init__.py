"""The tests: laws of the code, not examples of it."""
