"""The command that clones demonstrations and what a person does who takes over from the clone."""

from __future__ import annotations

import sys

from rl.cli.command import Command
from rl.cli.offline import on_settings
from rl.training.hg_dagger_options import SETTINGS, HgDaggerOptions
from rl.utils.subprocesses import Stop

_HEADINGS = {
    "What is learned": ("demos", "out", "env", "cell", "human", "frame_stack", "sees_images", "reward_classifier",
                        "resume", "seed"),
    "Rounds": ("rounds", "episodes_per_round", "evaluation_episodes"),
    "How": ("epochs", "batch_size", "held_out", "bc.hidden_dims", "bc.std_min", "bc.crop_padding",
            "bc.encoder.encoder_type"),
    "Where": ("checkpoint_every", "workers", "device", "threads"),
}  # fmt: skip


def hg_dagger(options: HgDaggerOptions, stop: Stop) -> None:
    """Clone, act, be corrected, and clone again."""
    from rich.console import Console

    from rl.training.hg_dagger import run_hg_dagger

    if options.human is None:
        print(  # noqa: T201
            "warning: --human is not given: nobody takes over, unless the environment brings a person of its own",
            file=sys.stderr,
        )
    run_hg_dagger(options, stop, Console())


HG_DAGGER = Command(
    "clone demonstrations, and what a person corrects while the clone acts",
    HgDaggerOptions,
    hg_dagger,
    on_settings(SETTINGS),
    _HEADINGS,
)
