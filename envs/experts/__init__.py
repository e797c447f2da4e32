"""Scripted policies that solve a task through its observations alone."""
