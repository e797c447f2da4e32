"""The processes of a training: actors, learner, evaluator and their supervisor."""
