"""The command line `robotkit-train`, which is `python -m rl` too: its entry point."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Sequence

from rl.cli.endings import exit_status
from rl.cli.table import STOPPED_BY_SIGNALS, find_command, list_commands, split_command, with_new_name
from rl.utils.option_words import command_line_words
from rl.utils.subprocesses import StopSignal, end_with_parent


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; one that fails ends with `SystemExit` and a status of `rl.cli.endings`."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not {"", os.getcwd()} & set(sys.path):
        sys.path.append(os.getcwd())  # an option may name a module of this folder, which hides no installed one
    with command_line_words():
        status = exit_status(lambda: _run(given))
    if status:
        raise SystemExit(status)


def _run(given: list[str]) -> None:
    given = with_new_name(given)
    if commands := list_commands(given):
        print(commands)  # noqa: T201
        return
    name, rest = split_command(given)
    stop = StopSignal()
    if name in STOPPED_BY_SIGNALS:
        stop.listen()  # before anything large is imported, so that no signal is lost
    else:
        end_with_parent()
    if name not in STOPPED_BY_SIGNALS and signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    for noisy in ("httpx", "uvicorn.error", "websockets", "OpenGL"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    command = find_command(name)
    options = command.parse(name, rest)
    if not stop.is_set():
        command.run(options, stop)
