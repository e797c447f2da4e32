"""SERL's `async_drq_sim` with its flags and defaults, on top of `robotkit-train`; for people who come from SERL.

Start the learner and the actor in two terminals (`run_learner.sh`, `run_actor.sh`), or both at once with
`robotkit-train train --preset drq`. `record_demo.sh` records what `--demo_path` takes.
"""

from __future__ import annotations

from dataclasses import dataclass

from examples.serl.flags import DrqFlags, run


@dataclass(frozen=True)
class Flags(DrqFlags):
    """DrQ on the images of the simulated pick-cube task."""

    exp_name: str = "async_drq_sim"
    """Name of the experiment, and of its directory under runs/ when there is no checkpoint_path."""
    max_traj_length: int = 1000
    """Steps of an episode; kept for the scripts, because the environment has its own time limit."""


if __name__ == "__main__":
    run(Flags)
