"""How an environment looks to an agent: images and numbers apart, repeated actions, a classifier as the reward."""
