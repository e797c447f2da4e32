"""Records of runs, and the file of JSON lines that keeps those of a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from benchmarks.learning.tables import RunSpec
from benchmarks.learning.variants import completed
from rl.errors import DataError


class Evaluation(BaseModel):
    """The evaluation of a policy."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    env_steps: int
    """Environment steps before it."""
    cpu_s: float
    """CPU-seconds, user and system, that the process has spent on training before it; evaluations do not count."""
    returns: tuple[float, ...]
    """Sum of the rewards of each episode."""
    successes: tuple[bool, ...] | None
    """Success of each episode; None where the environment does not report it."""


class RunRecord(BaseModel):
    """The result of one run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    table: str
    variant: str
    seed: int
    settings: dict[str, Any]
    """All that the result depends on, see `RunSpec.settings`."""
    evaluations: tuple[Evaluation, ...]
    machine: dict[str, Any]
    """Cores and versions that the run had."""
    commit: str | None
    """Version of the source by `git describe`, with `-dirty` where it was changed; None outside a repository."""

    def settings_of_now(self) -> dict[str, Any]:
        """The settings with the options that the source has got since."""
        return {**self.settings, "training": completed(self.settings["training"])}


class Records:
    """The records of a table, in a file that is replaced as a whole: it never holds half a record.

    Args:
        path: the file; it need not exist yet.

    Raises:
        DataError: it holds something else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._records: dict[tuple[str, int], RunRecord] = {}
        for number, line in enumerate(path.read_text().splitlines() if path.exists() else (), 1):
            try:
                record = RunRecord.model_validate_json(line)
            except ValidationError as error:
                first = error.errors(include_url=False)[0]
                raise DataError(
                    f"{path}, line {number} is no record of a run ({first['msg']}): remove the line, and its run is "
                    "made again"
                ) from error
            self._records[record.variant, record.seed] = record

    def find(self, spec: RunSpec) -> RunRecord | None:
        """The record of a run; None where there is none, or only one with other settings.

        An option that is newer than the record counts with its default, which changes nothing.
        """
        record = self._records.get((spec.variant, spec.seed))
        return record if record is not None and record.settings_of_now() == spec.settings() else None

    def is_outdated(self, spec: RunSpec) -> bool:
        """Whether there is a record of a run, but only one with other settings."""
        return (spec.variant, spec.seed) in self._records and self.find(spec) is None

    def of(self, variant: str) -> list[RunRecord]:
        """The records of a variant, by seed."""
        return [record for (name, _), record in sorted(self._records.items()) if name == variant]

    def add(self, record: RunRecord) -> None:
        """Keep a record, in place of an earlier one of the same variant and seed."""
        self._records[record.variant, record.seed] = record
        self._write([self._records[key] for key in sorted(self._records)])

    def _write(self, records: Sequence[RunRecord]) -> None:
        draft = self._path.with_suffix(".draft")
        draft.write_text("".join(f"{record.model_dump_json()}\n" for record in records))
        draft.replace(self._path)
