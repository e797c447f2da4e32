"""SERL's `async_peg_insert_drq` with its flags and defaults, on top of `robotkit-train`; for people who come from SERL.

`record_demo.sh` records demonstrations; then `run_learner.sh` and `run_actor.sh` belong in two terminals. All run in
simulation; `--cell http://control-pc:5000 --human spacemouse` takes them to a real cell (docs/real_franka.md).
"""

from __future__ import annotations

from dataclasses import dataclass

from examples.serl.flags import RealFlags, run


@dataclass(frozen=True)
class Flags(RealFlags):
    """DrQ on the images of peg insertion."""

    env: str = "FrankaPegInsert-Vision-v0"
    """Name of the environment: SERL's, ours, or `module:Id-v0` of one's own."""
    exp_name: str = "async_peg_insert_drq"
    """Name of the experiment, and of its directory under runs/ when there is no checkpoint_path."""


if __name__ == "__main__":
    run(Flags)
