"""One suite for each contract, run over every body."""
