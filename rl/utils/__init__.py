"""Helpers around torch and around foreign checkpoints."""
