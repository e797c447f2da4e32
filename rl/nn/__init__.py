"""The parts of the learner's networks: layers as in Flax, their initialisers and activations."""
