"""The clone of a task's demonstrations on which a variant learns a correction, trained when it is first needed."""

from __future__ import annotations

import math
import tempfile
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from benchmarks.learning.tables import RunSpec
from rl.agents.continuous.proposal_config import ProposalConfig
from rl.config import TrainConfig
from rl.data.demos import summarize_demos
from rl.errors import ConfigError
from rl.offline.bc import train_bc
from rl.offline.bc_options import TrainBcOptions
from rl.utils.subprocesses import StopSignal

CLONING = ProposalConfig()
CLONE = "clone"
"""Value of the option `base` of a variant that corrects a clone of its own demonstrations."""


def with_clone(spec: RunSpec, config: TrainConfig) -> TrainConfig:
    """The configuration with the directory of the clone as its base, where its variant corrects one.

    It is cloned as a proposal policy is (`ProposalConfig`), from the seed of the run, and kept beside the
    demonstrations.

    Raises:
        ConfigError: the task has no demonstrations.
    """
    if config.base != CLONE:
        return config
    if spec.demos is None:
        raise ConfigError(f"{spec.name} corrects a clone of demonstrations, and its task has none")
    path = spec.demos.with_name(f"{spec.demos.stem}-clone-{spec.seed}")
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=path.parent) as drafts:
            draft = Path(drafts) / path.name
            train_bc(_options(config, spec.demos, draft), StopSignal(), Console(quiet=True))
            draft.replace(path)
    return replace(config, base=str(path))


def _options(config: TrainConfig, demos: Path, out: Path) -> TrainBcOptions:
    batches = math.ceil(summarize_demos(demos).transitions / CLONING.batch_size)
    epochs = math.ceil(CLONING.cloning_updates / batches)
    return TrainBcOptions(
        demos=(demos,),
        out=out,
        env=config.env,
        action_repeat=config.action_repeat,
        frame_stack=config.frame_stack,
        epochs=epochs,
        batch_size=CLONING.batch_size,
        held_out=0.0,
        seed=config.seed,
        checkpoint_every=epochs,
        threads=1,
        bc=CLONING.cloning(),
    )
