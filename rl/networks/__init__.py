"""Networks of the learner: perceptrons, policies, critics and Lagrange multipliers."""
