"""The training doctor: checks that name why a run fails, from what the run logs."""
