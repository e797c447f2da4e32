"""R10: no terminal, no missing home and no reader that goes away ends a command."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from robotkit import console
from robotkit.errors import ConnectionFailed, InvalidConfiguration, UnknownPlugin
from tests.serving import REPOSITORY

HOMELESS = """
import pwd, runpy, sys
def unknown(*_):
    raise KeyError("no such user")
pwd.getpwuid = pwd.getpwnam = unknown
"""
"""A process of a user without an entry in the password database."""
RUN = HOMELESS + "module = sys.argv.pop(1); runpy.run_module(module, run_name='__main__', alter_sys=True)"
DOCTOR = """
from robotkit.cli import doctor, main
from robotkit.cli.finding import Finding
doctor.examine = lambda port: [Finding("läufe", "ok", "grün · 20 °C …", "日本")]
sys.exit(main(["doctor"]))
"""
SIMULATED = """
import robotkit as rk
with rk.make_workcell("mujoco-pick-cube") as cell:
    print(cell.get_state().robot.mode)
"""
NO_CACHE = """
import pathlib
from sims.controllers import compiled
def refuse(*_, **__):
    raise PermissionError("read-only")
compiled._cache_folder.cache_clear()
pathlib.Path.mkdir = refuse
print(compiled._cache_folder(), compiled.compiled(lambda x: x + 1.0)(2.0))
"""
ENCODINGS = ["ascii", "latin-1"]


def run(program: str, *arguments: str, encoding: str = "ascii") -> subprocess.CompletedProcess[str]:
    """A program in a process without HOME, whose terminal has this encoding."""
    env = {key: value for key, value in os.environ.items() if key not in ("HOME", "LANG", "LC_ALL", "PYTHONUTF8")}
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=REPOSITORY,
        env=env | {"LC_ALL": "C", "PYTHONIOENCODING": encoding, "COLUMNS": "60"},
        capture_output=True,
        text=True,
        encoding="latin-1",
        timeout=240,
        check=False,
    )


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("robotkit", "--help"), 0),
        (("robotkit", "list"), 0),
        (("robotkit", "check", "fake"), 0),
        (("robotkit", "check", "fake", "--json"), 0),
        (("robotkit", "check", "läufe…"), 2),
        (("robotkit", "calibrate", "hand-eye", "--help"), 0),
        (("robotkit", "calibrate", "camera", "läufe…", "--camera", "…"), 2),
        (("robotkit", "state", "--url", "http://127.0.0.1:9"), 1),
        (("servers", "--cell", "läufe…"), None),
        (("servers", "--help"), 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_r10_no_terminal_and_no_missing_home_ends_a_command(arguments, status, encoding):
    done = run(RUN, *arguments, encoding=encoding)
    assert "Traceback" not in done.stderr
    assert status is None or done.returncode == status, done.stderr
    assert done.stdout or done.stderr


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_r10_the_doctor_prints_whatever_it_finds(encoding):
    done = run(HOMELESS + DOCTOR, encoding=encoding)
    assert (done.returncode, done.stderr) == (0, "")
    assert "20" in done.stdout


@pytest.mark.parametrize(("program", "output"), [(SIMULATED, "holding"), (NO_CACHE, "None 3.0")])
def test_r10_a_simulated_cell_needs_neither_home_nor_a_cache(program, output):
    done = run(HOMELESS + program)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == output


def test_r10_a_reader_that_goes_away_ends_a_command_without_a_word():
    command = f"{sys.executable} -m robotkit list | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() in ("0", "1")
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidConfiguration("give a path"), 2),
        (UnknownPlugin("give a name"), 2),
        (ConnectionFailed("start it"), 1),
        (KeyboardInterrupt(), 130),
        (OSError(28, "No space left on device"), 1),
    ],
)
def test_r8_every_ending_has_its_status_and_one_sentence(error, status, capsys):
    def fail() -> int:
        raise error

    assert console.exit_status(fail) == status
    said = capsys.readouterr().err
    assert said == ("" if status == 130 else f"error: {error}\n")
