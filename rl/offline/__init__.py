"""Learning from files: behaviour cloning and reward classifiers, in epochs, on one process or under torchrun."""
