"""Evaluation of checkpoints, and replays of recorded episodes."""
