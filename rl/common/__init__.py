"""Modules that agents share: the train state, optimizers, types."""
