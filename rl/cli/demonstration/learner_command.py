"""A command of `robotkit-train` in a process of its own, which ends with the program that started it."""

from __future__ import annotations

import os
import subprocess

from rl.utils.subprocesses import PARENT_VARIABLE, run_module

_STOP_TIMEOUT_S = 120.0  # the learner writes a checkpoint, and the processes of the run end one after the other


def run_command(*words: str) -> int:
    """Run `python -m rl WORDS` to its end, and return its exit status; an exception here ends it in order."""
    # The parent's number lets it end by itself where this program is killed.
    environment = {**os.environ, PARENT_VARIABLE: str(os.getpid())}
    process = subprocess.Popen([*run_module("rl"), *words], env=environment)
    try:
        return process.wait()
    except BaseException:
        process.terminate()
        process.wait(_STOP_TIMEOUT_S)
        raise
