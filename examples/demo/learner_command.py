"""A command of `robotkit-train` in a process of its own, which ends with the program that started it."""

from __future__ import annotations

import os
import subprocess
import sys

from rl.utils.subprocesses import PARENT_VARIABLE


def run_command(*words: str) -> int:
    """Run `python -m rl WORDS` to its end, and return its exit status."""
    environment = {**os.environ, PARENT_VARIABLE: str(os.getpid())}
    return subprocess.run([sys.executable, "-m", "rl", *words], env=environment, check=False).returncode
