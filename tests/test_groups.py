"""Groups of tests run beside each other; one that fails, anywhere, is a failure of all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from tests.groups import pytest_commands, run

ROOT = Path(__file__).parents[1]


def _ends_with(status: int, words: str = "") -> list[str]:
    return [sys.executable, "-c", f"import sys; print({words!r}); sys.exit({status})"]


@pytest.mark.parametrize("statuses", list(product((0, 1, 5), repeat=3)))
def test_all_go_well_or_have_no_test_that_fits_or_it_is_a_failure(statuses: tuple[int, ...]) -> None:
    assert run([_ends_with(status) for status in statuses]) == int(1 in statuses)


@pytest.mark.parametrize("cores", [1, 2])
def test_what_ran_beside_is_shown_after_the_first_in_its_order(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cores)))
    run([_ends_with(0, "one"), _ends_with(0, "two"), _ends_with(1, "three")])
    assert capfd.readouterr().out.split() == ["one", "two", "three"]


def test_one_that_cannot_run_is_a_failure() -> None:
    assert run([_ends_with(0), ["/nowhere/at/all"], _ends_with(0)]) == 1


def test_every_group_is_asked_for_with_the_same_options() -> None:
    commands = pytest_commands(["-k", "stop"])
    assert [command[4] for command in commands] == ["none", "others", "franka"]
    assert all(command[5:] == ["-k", "stop"] for command in commands)


def test_an_interruption_ends_every_group(tmp_path: Path) -> None:
    """Each says with a file that it is there and that it was interrupted; a group that hangs would hang this test."""
    group = (
        "import sys, time, pathlib\nout = pathlib.Path(sys.argv[1])\n"
        "try:\n    out.with_suffix('.there').touch(); time.sleep(600)\n"
        "except KeyboardInterrupt:\n    out.with_suffix('.interrupted').touch()\n    raise"
    )
    commands = [[sys.executable, "-c", group, str(tmp_path / name)] for name in ("first", "beside", "later")]
    program = f"import os; os.sched_getaffinity = lambda pid: {{0, 1}}\nfrom tests.groups import run\nrun({commands!r})"
    runner = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, start_new_session=True, stderr=subprocess.DEVNULL
    )
    while not {"first.there", "beside.there"} <= {path.name for path in tmp_path.iterdir()}:
        assert runner.poll() is None
    os.killpg(runner.pid, signal.SIGINT)
    assert runner.wait() != 0
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{name}.{what}" for name in ("first", "beside") for what in ("there", "interrupted")
    }
