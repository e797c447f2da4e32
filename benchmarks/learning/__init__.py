"""The learning benchmark: trains variants of agents on common tasks and seeds, and says how they differ."""
