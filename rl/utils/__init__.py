"""Helpers around torch, processes, run directories and trees of arrays."""
