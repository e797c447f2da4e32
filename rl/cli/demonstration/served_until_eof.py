"""`python -m servers`, until standard input ends: that it does with the program that started it, whatever ends that."""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading


def _end_with_input() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_end_with_input, name="lifeline", daemon=True).start()
    runpy.run_module("servers", run_name="__main__", alter_sys=True)
