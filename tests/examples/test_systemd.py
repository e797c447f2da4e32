"""The systemd unit is one that systemd accepts, and starts what this repository installs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving import REPOSITORY

UNIT = REPOSITORY / "examples" / "systemd" / "robotkit-serve@.service"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_d5_systemd_accepts_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "robotkit-serve@lab.service"
    unit.write_text(UNIT.read_text().replace("/opt/robotkit/.venv/bin/robotkit-serve", sys.executable))
    checked = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60)
    complaints = [line for line in checked.stderr.splitlines() if "robotkit-serve" in line]
    assert complaints == []


def test_d5_the_unit_starts_the_installed_command() -> None:
    scripts = (REPOSITORY / "pyproject.toml").read_text()
    command = re.search(r"^ExecStart=\S+/(\S+)", UNIT.read_text(), re.MULTILINE)
    assert command is not None
    assert f'\n{command[1]} = "servers.__main__:main"' in scripts
