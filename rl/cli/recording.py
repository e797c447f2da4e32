"""The commands that record what is learned from."""

from __future__ import annotations

from rich.console import Console

from rl.cli.command import Command
from rl.errors import DataError
from rl.recording.options import RecordDemosOptions, RecordSuccessOptions
from rl.recording.record_demos import run_record_demos
from rl.recording.record_success import record_success as run_record_success
from rl.utils.subprocesses import StopSignal


def record_success(options: RecordSuccessOptions) -> None:
    """Record labelled frames."""
    run_record_success(options, StopSignal().listen(), Console())


def record_demos(options: RecordDemosOptions) -> None:
    """Record demonstrations."""
    try:
        run_record_demos(options, Console())
    except KeyboardInterrupt:
        raise DataError(
            f"stopped before the last episode; {options.out} keeps those that are finished: go on with --resume"
        ) from None


RECORD_DEMOS = Command("record successful episodes of a person or of a script", RecordDemosOptions, record_demos)
RECORD_SUCCESS = Command(
    "step an environment and store labelled frames for a reward classifier", RecordSuccessOptions, record_success
)
