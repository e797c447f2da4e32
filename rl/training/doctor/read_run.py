"""Reads the evidence of a run from its directory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from rl.config import TrainConfig, load_config
from rl.data.journal import TransitionJournal
from rl.errors import ConfigError, JournalError
from rl.training.doctor.evidence import LINES, TRANSITIONS, Evidence, Line, Transitions
from rl.utils.metrics_file import read_metrics
from rl.utils.run_directory import CONFIG, JOURNAL, METRICS

TOPICS = ("episode", "evaluation")


def read_run(directory: Path) -> Evidence:
    """The evidence of a run.

    Raises:
        ConfigError: there is no run of `train` or of `rl.SAC` and `rl.DrQ`.
        JournalError: its journal cannot be read.
    """
    if not (directory / CONFIG).is_file():
        raise ConfigError(
            f"there is no run at {directory}: give the directory that `robotkit-train train --out` or save() wrote"
        )
    config = load_config(directory / CONFIG)
    lines = read_lines(directory / METRICS)
    updates, episodes, evaluations = (tuple(_of_topic(lines, topic)[-LINES:]) for topic in ("", *TOPICS))
    demos, why_none = read_demos(config)
    return Evidence(
        config,
        updates,
        episodes,
        evaluations,
        transitions=_read_newest(directory / JOURNAL) if (directory / JOURNAL).is_file() else None,
        demos=demos,
        missing_demos=why_none,
    )


def read_demos(config: TrainConfig) -> tuple[Transitions | None, str]:
    """The demonstrations of a run, and otherwise the reason why there are none to look at."""
    files = config.replay.demos
    try:
        parts = [_read_newest(file) for file in files if file.is_file()]
    except JournalError as error:
        return None, str(error)
    found = [part for part in parts if part is not None]
    if not found:
        missing = "the files of its demonstrations are not there any more: " + ", ".join(map(str, files))
        return None, missing if files else "the run has no demonstrations"
    return Transitions.joined(found, TRANSITIONS), ""


def topic_of(line: Line) -> str:
    """The topic of a line of the metrics; empty for that of an update."""
    return next((topic for topic in TOPICS if any(name.startswith(f"{topic}/") for name in line)), "")


def without_prefix(line: Line) -> Line:
    """The line with the names of its figures alone."""
    topic = topic_of(line)
    return {name.removeprefix(f"{topic}/"): value for name, value in line.items()} if topic else line


def _read_newest(path: Path) -> Transitions | None:
    with TransitionJournal(path, read_only=True) as journal:
        parts = [Transitions.of([block]) for block in journal.blocks(after_row=max(0, len(journal) - TRANSITIONS))]
    return Transitions.joined(parts, TRANSITIONS) if parts else None


def read_lines(path: Path) -> list[Line]:
    """The lines of the metrics as numbers; a line with something else is left out, and a null was not finite."""
    found: list[Line] = []
    for stored in read_metrics(path) if path.is_file() else ():
        try:
            found.append({name: math.nan if value is None else float(value) for name, value in stored.items()})
        except (ValueError, TypeError):
            continue
    return found


def _of_topic(lines: Sequence[Line], topic: str) -> list[Line]:
    return [without_prefix(line) for line in lines if topic_of(line) == topic]
