"""The command line `python -m rl`: the table of its commands, and its entry point."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any, Union

import tyro

from rl.cli.command import PROGRAM, Command
from rl.errors import RlError
from rl.utils.subprocesses import USER_ERROR, ChildFailed

COMMANDS = {
    "train": "rl.cli.training:TRAIN",
    "learner": "rl.cli.training:LEARNER",
    "actor": "rl.cli.training:ACTOR",
    "evaluator": "rl.cli.training:EVALUATOR",
    "eval": "rl.cli.evaluation:EVAL",
    "replay": "rl.cli.evaluation:REPLAY",
    "record-demos": "rl.cli.recording:RECORD_DEMOS",
    "train-bc": "rl.cli.offline:TRAIN_BC",
    "train-classifier": "rl.cli.offline:TRAIN_CLASSIFIER",
    "record-success": "rl.cli.recording:RECORD_SUCCESS",
    "import-demos": "rl.cli.data:IMPORT_DEMOS",
    "convert": "rl.cli.data:CONVERT",
    "export-lerobot": "rl.cli.data:EXPORT_LEROBOT",
    "import-lerobot": "rl.cli.data:IMPORT_LEROBOT",
}
"""Where each command is; its module is imported when it is asked for."""

RENAMED = {"watch": "evaluator"}
"""Old names of commands, which still work."""

_DESCRIPTION = """The commands of the learner.

`python -m rl COMMAND --help` lists every option. `--preset NAME` or `--config FILE` choose what the options of `train`,
`learner`, `actor`, `evaluator` and `eval` start from. Exit status: 0 done, 2 the request was wrong or cannot be met."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: errors of the user's making are one sentence, and exit status 2."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] in RENAMED:
        print(f"`{PROGRAM} {given[0]}` is now `{PROGRAM} {RENAMED[given[0]]}`", file=sys.stderr)  # noqa: T201
        given[0] = RENAMED[given[0]]
    if not given or given[0] not in COMMANDS:
        tyro.cli(_all_commands(), prog=PROGRAM, description=_DESCRIPTION, args=given)
        raise SystemExit(USER_ERROR)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    for noisy in ("httpx", "uvicorn.error", "websockets"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    command = find_command(given[0])
    try:
        command.run(command.parse(given[0], given[1:]))
    except (RlError, ChildFailed) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(USER_ERROR) from None


def find_command(name: str) -> Command[Any]:
    """The command of that name in `COMMANDS`."""
    module, _, attribute = COMMANDS[name].partition(":")
    command: Command[Any] = getattr(import_module(module), attribute)
    return command


def _all_commands() -> Any:
    """The options of every command, as one type of which each command is a choice."""
    found = {name: find_command(name) for name in COMMANDS}
    choices = [
        Annotated[command.options, tyro.conf.subcommand(name, description=command.summary)]
        for name, command in found.items()
    ]
    return Union[tuple(choices)]  # noqa: UP007
