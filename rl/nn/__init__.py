"""Layers as in Flax, their initialisers and activations: what every network of the learner is made of."""
