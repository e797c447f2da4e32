"""Torque laws as pure functions that numba compiles; numpy twins of them are in the tests."""
