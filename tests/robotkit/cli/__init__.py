"""Tests of the commands of `robotkit`."""
