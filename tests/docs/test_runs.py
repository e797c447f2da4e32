"""Every command on every page is run, in a short form and in the order of the page, or says why it is not."""

from __future__ import annotations

import re
import shlex
import shutil
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import tyro

import robotkit as rk
from rl.cli import main as run_rl
from rl.cli.table import split_command
from robotkit.cli import main as run_robotkit
from servers.__main__ import Serve
from tests.docs.pages import NOT_RUN, PAGES, blocks, commands, reason_not_to_run
from tests.end_to_end.runs import ROOT, free_port
from tests.serving import served

SHOWN_URL = "http://127.0.0.1:5000"
SHORT = {
    "record demos": "--episodes 1 --attempts 4",
    "record success": "--episodes 12 --positives 1000",
    "classifier": "--epochs 1 --threads 1",
    "bc": "--epochs 1 --held-out 0",
    "hg-dagger": "--epochs 1 --held-out 0 --rounds 1 --episodes-per-round 1 --threads 1",
    "train": "--steps 32 --random-steps 8 --training-starts 16 --batch-size 8 --utd-ratio 1 --env-steps-per-update 8 "
    "--max-lead 16 --checkpoint-every 1 --evaluation.every-steps 0 --no-compile --learner-threads 1",
    "evaluate": "--episodes 1",
    "replay": "",
}
"""What makes a command take seconds, by its name: of an option that is given twice the last one counts."""
SHORT_OPERATION = {"watch": ["--once"], "recover": ["--yes"], "home": ["--yes"]}
"""What lets a command of `robotkit` end, and ask nothing."""
FILES = {"new_task": {"hover.py": [0]}, "own_environment": {"park.py": [0, 1]}}
"""Files that a reader writes, and the Python blocks of the page that go into them."""
SCRIPTS = {"index": [0, 1], "new_task": [1]}
"""Python blocks that run by themselves."""
RUN_PAGES = [page for page in PAGES if any(reason_not_to_run(command) is None for command in commands(page))]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for the project's folder, in which the pages' commands are typed."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "my_lab.toml").symlink_to(ROOT / "examples" / "cells" / "mujoco.toml")
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{tmp_path}")
    for name, value in {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "COLUMNS": "120"}.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def write_files(page: str, python: list[str], folder: Path) -> None:
    for name, numbers in FILES.get(page, {}).items():
        (folder / name).write_text("\n".join(python[number] for number in numbers))


class Session:
    """Runs commands one after the other, as in one terminal; servers go on beside the others until the end."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._cell: rk.Workcell | None = None
        self._url = ""

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def run(self, command: str) -> None:
        words = shlex.split(command.replace(SHOWN_URL, self._url or SHOWN_URL))
        if words[0] == "robotkit-serve":
            self._serve(tyro.cli(Serve, args=words[1:]))
        elif words[0] == "robotkit":
            status = run_robotkit([*words[1:], *SHORT_OPERATION.get(words[1], [])])
            assert status in ((0, 1) if "doctor" in words else (0,))
            if "stop" in words and self._cell is not None:
                self._cell.robot.recover()
        else:
            assert words[0] == "robotkit-train"
            self._learn(words[1:])

    def _serve(self, config: Serve) -> None:
        self._stack.close()
        overrides = {"clock": config.clock} if config.clock else {}
        self._cell = rk.make_workcell(config.cell, **overrides)
        self._url = self._stack.enter_context(served(self._cell))

    def _learn(self, words: list[str]) -> None:
        if words == ["list"] or words[-1].startswith("--help"):
            with suppress(SystemExit):
                run_rl(words)
            return
        name, given = split_command(words)
        short = shlex.split(SHORT[name])
        if name == "train":
            short += ["--link.port", str(free_port())]
        if "--out" in given and name in ("train", "classifier", "bc", "hg-dagger") and "--resume" not in given:
            shutil.rmtree(given[given.index("--out") + 1], ignore_errors=True)  # of another example on the page
        elif name == "record demos":
            Path(given[given.index("--out") + 1]).unlink(missing_ok=True)
        try:
            run_rl([*name.split(), *given, *short])
        except SystemExit:  # after one epoch a classifier may be no better than chance, and is written nevertheless
            if name != "classifier" or not Path(given[given.index("--out") + 1], "classifier.json").is_file():
                raise


@pytest.mark.parametrize(
    "page",
    # One page goes the whole way in seconds: it records, trains and evaluates. The others take a minute or two each.
    [pytest.param(page, marks=() if page.stem == "own_environment" else pytest.mark.slow) for page in RUN_PAGES],
    ids=[page.stem for page in RUN_PAGES],
)
def test_the_commands_of_a_page_run(page: Path, folder: Path):
    write_files(page.stem, blocks(page, "python"), folder)
    with Session() as session:
        for command in commands(page):
            if reason_not_to_run(command) is None:
                print(command)
                session.run(command)


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_python_of_a_page_runs(name: str, folder: Path):
    python = blocks(ROOT / "docs" / f"{name}.md", "python")
    write_files(name, python, folder)
    for number in SCRIPTS[name]:
        exec(compile(python[number], f"{name}.md", "exec"), {})


def test_no_reason_is_left_over():
    shown = [command for page in PAGES for command in commands(page)]
    assert all(any(re.search(pattern, command) for command in shown) for pattern in NOT_RUN)
