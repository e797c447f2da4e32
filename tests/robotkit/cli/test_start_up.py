"""Help of the commands that operate a cell waits for no library that only a running command needs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.serving import REPOSITORY

HEAVY = ("torch", "mujoco", "gymnasium", "httpx", "httpcore", "websockets", "scipy", "imageio", "PIL", "cv2")


@pytest.mark.parametrize("module", ["operate", "remote", "catalogue"])
def test_the_options_of_a_command_import_nothing_heavy(module):
    program = f"import sys, robotkit.cli.{module}; print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    # robotkit.cli itself still imports every command: stand in for it.
    stand_in = "import types, sys, robotkit; package = types.ModuleType('robotkit.cli'); "
    stand_in += "package.__path__ = [robotkit.__path__[0] + '/cli']; sys.modules['robotkit.cli'] = package; "
    run = subprocess.run(
        [sys.executable, "-c", stand_in + program], cwd=REPOSITORY, capture_output=True, text=True, timeout=60
    )
    assert run.stdout.strip() == "[]", run.stdout + run.stderr
