"""The processes of a training: what actors, learner and evaluator build, what they do, and who watches them."""
