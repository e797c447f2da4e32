"""The commands that record what is learned from."""

from __future__ import annotations

from rl.cli.command import Command
from rl.errors import DataError
from rl.recording.options import RecordDemosOptions, RecordSuccessOptions
from rl.utils.subprocesses import Stop


def record_demos(options: RecordDemosOptions, stop: Stop) -> None:
    """Record demonstrations."""
    from rich.console import Console

    from rl.recording.record_demos import run_record_demos

    try:
        run_record_demos(options, Console())
    except KeyboardInterrupt:
        raise DataError(
            f"stopped before the last episode; {options.out} keeps those that are finished: go on with --resume"
        ) from None


def record_success(options: RecordSuccessOptions, stop: Stop) -> None:
    """Record labelled frames."""
    from rich.console import Console

    from rl.recording.record_success import record_success as run

    run(options, stop, Console())


_DEMOS_HEADINGS = {
    "What is recorded": ("env", "cell", "out", "human", "expert", "episodes", "attempts", "resume", "seed"),
    "As the agent will see it": ("frame_stack", "sees_images", "cameras", "images.size", "images.frames"),
    "What is a success": ("reward_classifier", "classifier.positive_frames", "classifier.hold_s"),
}

RECORD_DEMOS = Command(
    "record successful episodes of a person or of a script",
    RecordDemosOptions,
    record_demos,
    headings=_DEMOS_HEADINGS,
)
RECORD_SUCCESS = Command("store labelled frames for a reward classifier", RecordSuccessOptions, record_success)
