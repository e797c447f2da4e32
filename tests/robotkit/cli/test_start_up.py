"""The help of a command waits for no library that only a running command needs."""

from __future__ import annotations

import subprocess
import sys

from tests.serving import REPOSITORY

SLOW = {"torch", "mujoco", "gymnasium", "numba", "httpx", "websockets", "scipy", "fastapi", "imageio", "cv2"}
COMMANDS = ("list", "init", "doctor", "check", "state", "watch", "stop", "recover", "home", "gripper", "cameras")
PROGRAM = """
import contextlib, io, sys
from robotkit.cli import main
with contextlib.redirect_stdout(io.StringIO()):
    for line in {lines!r}:
        with contextlib.suppress(SystemExit):
            main(line)
print(sorted({slow!r} & set(sys.modules)))
"""


def test_help_and_the_list_of_names_import_nothing_slow():
    lines = [["--help"], ["list"], *([name, "--help"] for name in COMMANDS)]
    program = PROGRAM.format(lines=lines, slow=SLOW)
    run = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert run.stdout.strip() == "[]", run.stdout + run.stderr
