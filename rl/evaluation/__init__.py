"""Measurements of what was trained or recorded: evaluations of checkpoints, and replays of episodes."""
