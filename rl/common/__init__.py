"""What agents share: the train state, optimizers, types."""
