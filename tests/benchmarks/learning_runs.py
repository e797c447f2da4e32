"""Runs and records for the tests of the learning benchmark, small or made up."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from benchmarks.learning.records import Evaluation, Records, RunRecord
from benchmarks.learning.tables import RunSpec
from benchmarks.learning.tasks import Task
from benchmarks.learning.variants import Variant
from benchmarks.machine import machine

FOLLOW = Task("tests.support.tiny_env:FollowTarget-v0")
SMALL = {"batch_size": 8, "random_steps": 10, "training_starts": 10, "agent.hidden_dims": (16,)}


class Follow:
    """The expert of `FOLLOW`."""

    def __init__(self, env: gym.Env) -> None:
        """See `rl.recording.experts`."""

    def reset(self, observation: np.ndarray) -> None:
        """See `rl.recording.experts.Expert`."""

    def act(self, observation: np.ndarray) -> np.ndarray:
        """See `rl.recording.experts.Expert`."""
        return observation[:1]


def small_spec(**changes: Any) -> RunSpec:
    """A run of seconds."""
    small = {"task": FOLLOW, "how": Variant("default", SMALL), "steps": 60, "grid": (0, 30, 60), "episodes": 3}
    return RunSpec(**{"table": "test", "variant": "small", "seed": 0, **small, **changes})


def made_up_record(variant: str, seed: int, rates: Sequence[float], **changes: Any) -> RunRecord:
    """A record whose evaluations, of ten episodes and 100 steps apart, had these shares of successes."""
    evaluations = [
        Evaluation(
            env_steps=100 * point,
            cpu_s=2.0 + 3.0 * point,
            returns=tuple([10 * rate] * 10),
            successes=tuple(number < round(10 * rate) for number in range(10)),
        )
        for point, rate in enumerate(rates)
    ]
    settings = {
        "task": {"env": "Made-up-v0", "demonstrations": 0},
        "grid": [100 * point for point in range(len(rates))],
        "episodes": 10,
        "training": {"seed": seed},
    }
    made = RunRecord(
        table="test", variant=variant, seed=seed, settings=settings, evaluations=tuple(evaluations), machine=machine(),
        commit=None,
    )  # fmt: skip
    return made.model_copy(update=changes)


def keep(path: Path, records: Sequence[RunRecord]) -> Records:
    """A file of records."""
    kept = Records(path)
    for record in records:
        kept.add(record)
    return kept


def echo(spec: RunSpec) -> tuple[Evaluation, ...]:
    """A runner that tells the seed at once."""
    return (Evaluation(env_steps=spec.seed, cpu_s=0.0, returns=(), successes=None),)


def fail(spec: RunSpec) -> tuple[Evaluation, ...]:
    """A runner with a mistake."""
    raise ValueError(spec.name)


def crash(spec: RunSpec) -> tuple[Evaluation, ...]:
    """A runner whose process is ended by something."""
    os._exit(139)


def hang(spec: RunSpec) -> tuple[Evaluation, ...]:
    """A runner that writes the number of its process, and then never ends."""
    assert spec.demos is not None
    draft = spec.demos.with_suffix(".draft")
    draft.write_text(str(os.getpid()))
    draft.rename(spec.demos)
    threading.Event().wait()
    return ()
