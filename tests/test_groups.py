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
from tests.parts import GROUPS, TESTS, VENDORS, Group

ROOT = TESTS.parent


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
    assert [command[3:-2] for command in commands] == [group.options for group in GROUPS]
    assert all(command[-2:] == ["-k", "stop"] for command in commands)


@pytest.mark.parametrize(
    "name", ["test_a.py::test_it", "test_a.py::test_it[franka]", "test_franka.py::test_it"], ids=["no", "id", "file"]
)
@pytest.mark.parametrize(
    "folder",
    ["", *sorted(str(path.relative_to(TESTS)) for path in TESTS.glob("**/") if (path / "__init__.py").exists())],
)
def test_every_test_is_in_one_group_and_one_of_its_vendor_that_looks_where_it_is(folder: str, name: str) -> None:
    node, path = Path("tests", folder, name), TESTS / folder / name.partition("::")[0]
    [group] = [group for group in GROUPS if group.has(str(node))]
    assert [vendor for vendor in VENDORS if Group(vendor).has(str(node))] == [group.vendor]
    assert all(asked.may_have(above) for asked in (group, Group(group.vendor)) for above in (path, *path.parents))


def test_a_group_imports_no_file_of_another_folder() -> None:
    """Not even to look which tests are in it."""
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", *Group("none", "runs").options]
    found = subprocess.run([*command, "tests/docs"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "tests/docs/" in found
    assert not Group("none", "runs").may_have(TESTS / "rl")
    assert not Group("others").may_have(TESTS / "rl" / "test_config.py")
    assert Group("others").may_have(ROOT / "elsewhere" / "test_it.py")


def test_a_part_is_one_of_the_tests_without_vendor_libraries() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--part=runs"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "--vendor none" in done.stderr


@pytest.mark.parametrize("cores", [1, 2, 3])
def test_one_command_more_than_there_are_cores_runs_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: int
) -> None:
    """Each waits until as many as may run are there, and writes how many it saw when it began."""
    at_once = cores + 1 if cores > 1 else 1
    program = (
        "import pathlib, sys, uuid\nfolder = pathlib.Path(sys.argv[1])\nmine = folder / uuid.uuid4().hex\n"
        f"mine.touch()\nwhile len(list(folder.iterdir())) < {at_once}: pass\n"
    )
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cores)))
    assert run([[sys.executable, "-c", program, str(tmp_path)]] * at_once) == 0
    assert len(list(tmp_path.iterdir())) == at_once


def test_an_interruption_ends_every_group(tmp_path: Path) -> None:
    """Each says with a file that it is there and that it was interrupted; a group that hangs would hang this test."""
    group = (
        "import os, pathlib, signal, sys, time\nout = pathlib.Path(sys.argv[1])\n"
        "end = lambda *_: (out.with_suffix('.interrupted').touch(), os._exit(1))\nsignal.signal(signal.SIGINT, end)\n"
        "out.with_suffix('.there').touch()\ntime.sleep(600)"
    )
    begun = ("first", "beside", "beside too")
    commands = [[sys.executable, "-c", group, str(tmp_path / name)] for name in (*begun, "later")]
    program = f"import os; os.sched_getaffinity = lambda pid: {{0, 1}}\nfrom tests.groups import run\nrun({commands!r})"
    runner = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, start_new_session=True, stderr=subprocess.DEVNULL
    )
    while not {f"{name}.there" for name in begun} <= {path.name for path in tmp_path.iterdir()}:
        assert runner.poll() is None
    os.killpg(runner.pid, signal.SIGINT)
    assert runner.wait() != 0
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{name}.{what}" for name in begun for what in ("there", "interrupted")
    }
