"""SERL's `async_cable_route_drq` with its flags and defaults, on top of `robotkit-train`; for people of SERL.

`record_demo.sh` records demonstrations; then `run_learner.sh` and `run_actor.sh` belong in two terminals. All run in
simulation, where the cable is tracked. A real cell needs `--cell http://control-pc:5000 --human spacemouse` and
`--reward_classifier_ckpt_path`, which `train_classifier.sh` makes (docs/real_franka.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from examples.serl.flags import RealFlags, run


@dataclass(frozen=True)
class Flags(RealFlags):
    """DrQ on the images of cable routing."""

    env: str = "FrankaCableRoute-Vision-v0"
    """Name of the environment: SERL's, ours, or `module:Id-v0` of one's own."""
    exp_name: str = "async_cable_route_drq"
    """Name of the experiment, and of its directory under runs/ when there is no checkpoint_path."""
    reward_classifier_ckpt_path: Path | None = None
    """Directory of the reward classifier; without one the tracked cable decides."""

    def classifiers(self) -> Mapping[int, Path]:
        """Reward classifiers by task."""
        path = self.reward_classifier_ckpt_path
        return {} if path is None else {0: path}


if __name__ == "__main__":
    run(Flags)
