"""Tests of robotkit itself."""
