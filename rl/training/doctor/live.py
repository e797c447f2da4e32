"""`LiveDoctor`: examines a run while it is trained."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rl.config import TrainConfig
from rl.data.journal import Block
from rl.training.doctor.evidence import LINES, TRANSITIONS, Evidence, Line, Transitions
from rl.training.doctor.read_run import TOPICS, read_demos, topic_of, without_prefix
from rl.training.doctor.table import examine
from rl.training.doctor.verdicts import Finding
from rl.training.trainer import Progress

logger = logging.getLogger(__name__)

_EVERY_STEPS = 500  # an examination takes some milliseconds, and the steps of a fast simulation a second
_AT_ONCE = 64  # transitions that are looked at together: each look costs some ten calls of numpy


class LiveDoctor:
    """Takes what a training logs and stores, and tells of every finding when it begins and when it is over.

    It is a sink of the metrics, draws no random number and asks nothing of the device.

    Args:
        config: of the run.
        progress: shows the findings.
    """

    def __init__(self, config: TrainConfig, progress: Progress) -> None:
        self._config, self._progress = config, progress
        self._has_failed = False
        self._lines: dict[str, deque[Line]] = {topic: deque(maxlen=LINES) for topic in ("", *TOPICS)}
        self._parts: deque[Transitions] = deque()
        self._new: list[Block] = []
        self._new_rows = 0
        self._examined: int | None = None
        self._findings: dict[str, Finding] = {}
        self._demos: Transitions | None = None
        self._missing_demos = ""
        with self._contained():
            self._demos, self._missing_demos = read_demos(config)

    def note(self, block: Block) -> None:
        """Take transitions that were stored."""
        if self._has_failed:
            return
        self._new.append(block)
        self._new_rows += len(block.transitions["rewards"])
        if self._new_rows >= _AT_ONCE:
            with self._contained():
                self._take_new()

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Take a line of the metrics; after that of an update examine the run, where it is time to."""
        if self._has_failed:
            return
        line = {"step": float(step), **metrics}
        topic = topic_of(line)
        self._lines[topic].append(without_prefix(line))
        if not topic and (self._examined is None or step - self._examined >= _EVERY_STEPS):
            self._examined = step
            with self._contained():
                self._examine()

    def close(self) -> None:
        """Do nothing: there is nothing to write."""

    def figures(self) -> dict[str, float]:
        """Return the figures for the next line of the metrics: a 1 for each finding."""
        return {f"doctor/{name}": 1.0 for name in self._findings}

    @contextmanager
    def _contained(self) -> Iterator[None]:
        """Let no failure of the doctor end a training: it is told, and the doctor looks at nothing any more."""
        try:
            yield
        except Exception as error:
            self._has_failed = True
            self._new.clear()
            self._parts.clear()
            logger.warning(
                "the training doctor failed and looks at this run no more; the training goes on", exc_info=error
            )

    def _examine(self) -> None:
        self._take_new()
        transitions = Transitions.joined(self._parts, TRANSITIONS) if self._parts else None
        updates, episodes, evaluations = (tuple(lines) for lines in self._lines.values())
        diagnosis = examine(
            Evidence(self._config, updates, episodes, evaluations, transitions, self._demos, self._missing_demos)
        )
        found = {finding.name: finding for finding in diagnosis.findings}
        for name, finding in found.items():
            if name not in self._findings:
                logger.warning("the training doctor found %s", finding.sentence())
        for name in self._findings.keys() - found.keys():
            logger.info("the training doctor finds %s no more", name)
        self._findings = found
        self._progress.findings = [finding.sentence() for finding in diagnosis.findings]

    def _take_new(self) -> None:
        if self._new:
            self._parts.append(Transitions.of(self._new))
            self._new, self._new_rows = [], 0
            while sum(map(len, self._parts)) - len(self._parts[0]) >= TRANSITIONS:
                self._parts.popleft()
