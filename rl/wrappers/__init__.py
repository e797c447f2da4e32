"""Wrappers that adapt an environment to an agent: images and numbers apart, repeated actions, a classifier's reward."""
