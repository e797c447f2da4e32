"""A run's directory as a training takes it: another run is refused, and one of which nothing came leaves no trace."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rl.config import TrainConfig, load_config, save_config
from rl.data.journal import TransitionJournal
from rl.data.spaces import describe_spaces, differences
from rl.errors import ConfigError, RlError, SchemaMismatch
from rl.link.messages import AgentSpec, base_difference, build_space
from rl.training.demo_clone import require_no_clone
from rl.utils.option_words import option
from rl.utils.run_directory import CHECKPOINTS, CLONE, CONFIG, JOURNAL, claim_run, release_run


def take_run(config: TrainConfig) -> None:
    """Claim the directory of a new run, or check that a run is the one to continue; nothing in it changes.

    Raises:
        RunExists, CheckpointNotFound: the directory holds a run, or none to resume.
        SchemaMismatch: the run to resume has another environment, other spaces, or another agent.
        ConfigError: a smaller replay buffer would have stored transitions deleted.
        CheckpointError: the directory cannot be written, or read.
    """
    directory = config.directory()
    if config.from_demos and not config.resume:
        require_no_clone(directory)
    claim_run(directory, resume=config.resume, facts={"env": config.env, "preset": config.preset})
    if config.resume and (directory / CONFIG).exists():
        stored = load_config(directory / CONFIG)
        require_same_run(stored, config)
        _require_nothing_is_lost(stored, config)


@contextmanager
def stored_config(config: TrainConfig) -> Iterator[None]:
    """Store the configuration of a run that was taken, and take it back when the run is refused before its first step.

    Then a run that was continued has the configuration that it had, and the directory of a new one may be claimed by
    the corrected command; the logs stay.
    """
    directory = config.directory()
    path = directory / CONFIG
    before = path.read_bytes() if path.exists() else None
    began = _reached(directory)
    save_config(config, path)
    try:
        yield
    except Exception:
        if _reached(directory) == began:
            if config.resume and before is not None:
                path.write_bytes(before)
            elif not config.resume:
                if config.from_demos:
                    shutil.rmtree(directory / CLONE, ignore_errors=True)
                release_run(directory)
        raise


def require_same_run(stored: TrainConfig, asked: TrainConfig) -> None:
    """Raise `SchemaMismatch` where a configuration has another environment, other spaces or another agent than its run.

    Args:
        stored: what the run began with.
        asked: what it is to go on with.
    """
    facts = {
        "env": (stored.env, asked.env),
        "agent": (stored.agent_name, asked.agent_name),
        "frame_stack": (stored.frame_stack, asked.frame_stack),
        "images.size": (stored.images.size, asked.images.size),
        "images.frames": (stored.images.frames, asked.images.frames),
        "from_demos": tuple(" ".join(map(str, config.from_demos)) or None for config in (stored, asked)),
    }
    different = [f"{option(name)} {there}, not {here}" for name, (there, here) in facts.items() if there != here]
    if different:
        raise SchemaMismatch(
            f"the run in {asked.directory()} has {' and '.join(different)}: a run keeps its environment, its spaces, "
            f"its agent and what it has cloned. Leave these options out, or start another run with another "
            f"{option('out')}"
        )


def _require_nothing_is_lost(stored: TrainConfig, asked: TrainConfig) -> None:
    had, has = stored.replay.capacity, asked.replay.capacity
    if has < had and not asked.replay.keep_all:
        raise ConfigError(
            f"{option('replay.capacity', has)} is smaller than the {had} that the run in {asked.directory()} had: what "
            f"it does not hold would be deleted from disk. Add {option('replay.keep_all')}, and it stays there"
        )


def require_same_base(found: AgentSpec, wanted: AgentSpec) -> None:
    """Raise `SchemaMismatch` where another base policy acts in an environment than in that of the run, or none."""
    if found.base != wanted.base:
        raise SchemaMismatch(base_difference(found.base, wanted.base))


def require_same_spaces(found: AgentSpec, wanted: AgentSpec) -> None:
    """Raise `SchemaMismatch` where an environment has other spaces than that of the run, or another base policy."""
    require_same_base(found, wanted)
    here, there = (describe_spaces(build_space(spec.observation), build_space(spec.action)) for spec in (found, wanted))
    if different := differences(here, there):
        raise SchemaMismatch(
            f"the environment is not like the one that this run was trained in: {'; '.join(different)}. Pass an "
            "environment with the same spaces"
        )


def _reached(directory: Path) -> tuple[int, list[str]]:
    """Transitions and checkpoints that a run has."""
    checkpoints = sorted(path.name for path in (directory / CHECKPOINTS).glob("step_*"))
    if not (directory / JOURNAL).exists():
        return 0, checkpoints
    try:
        with TransitionJournal(directory / JOURNAL, read_only=True) as journal:
            return len(journal), checkpoints
    except RlError:
        return -1, checkpoints
