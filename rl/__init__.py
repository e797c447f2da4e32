"""The learner: networks, agents, data and the two loops, built on Gymnasium and PyTorch."""
