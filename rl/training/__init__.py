"""A training: its processes (actors, learner, evaluator, supervisor), and the same in one process (SAC, DrQ)."""
