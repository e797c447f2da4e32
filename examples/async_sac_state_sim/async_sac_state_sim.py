"""SERL's `async_sac_state_sim` with its flags and defaults, on top of `robotkit-train`; for people who come from SERL.

Start the learner and the actor in two terminals (`run_learner.sh`, `run_actor.sh`), or both at once with
`robotkit-train train --preset serl`.
"""

from __future__ import annotations

from dataclasses import dataclass

from examples.serl.flags import SerlFlags, run


@dataclass(frozen=True)
class Flags(SerlFlags):
    """Soft actor-critic on states."""

    exp_name: str = "async_sac_state_sim"
    """Name of the experiment, and of its directory under runs/ when there is no checkpoint_path."""


if __name__ == "__main__":
    run(Flags)
