"""The demonstration: a simulated arm learns to pick up a cube, with robot, actor and learner in separate processes."""
