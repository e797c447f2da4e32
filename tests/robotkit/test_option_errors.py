"""A command line that the parser of options refuses is answered in one sentence, of the same form in every tool."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import pytest
import tyro

import rl.cli
import rl.cli.option_errors
import rl.errors
import robotkit.cli
import robotkit.option_errors
from robotkit.errors import InvalidConfiguration
from servers.__main__ import main as serve

BOTH = [(robotkit.option_errors, InvalidConfiguration), (rl.cli.option_errors, rl.errors.ConfigError)]
"""Two modules, because the learner imports no robot."""


@dataclass(frozen=True)
class Options:
    """Options of every kind that the tools have."""

    out: str
    steps: int = 1
    period_s: float = 0.1
    where: Literal["actor", "process"] = "actor"
    clock: Literal["real", "lockstep"] | None = None
    size: tuple[int, int] = (1, 1)


@pytest.mark.parametrize("columns", ["40", "200"])
@pytest.mark.parametrize(("module", "error"), BOTH)
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "tool run needs --out STR"),
        ("--out a --bogus 3", "tool run does not take --bogus, 3"),
        ("--bogus", "tool run does not take --bogus"),
        ("--out a --step 3", "tool run does not take --step, 3. Did you mean --steps?"),
        ("--out a --steps", "--steps needs a value"),
        ("--out a --size 3", "--size needs 2 values"),
        ("--out a --steps ten", "--steps must be a whole number, not 'ten'"),
        ("--out a --period-s x", "--period-s must be a number, not 'x'"),
        ("--out a --where nowhere", "--where must be one of actor, process, not 'nowhere'"),
        ("--out a --clock x", "--clock must be one of lockstep, real, not 'x'"),
    ],
)
def test_what_the_parser_refuses_is_one_sentence(module, error, line, said, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    with pytest.raises(error) as refused, module.refusals_as_sentences("tool run"):
        tyro.cli(Options, prog="tool run", args=line.split())
    end = "" if said.endswith("?") else "."
    assert str(refused.value) == f"{said}{end} `tool run --help` shows the options"


@pytest.mark.parametrize(("module", "error"), BOTH)
def test_the_help_and_other_endings_pass(module, error, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended, module.refusals_as_sentences("tool"):
        tyro.cli(Options, prog="tool", args=["--help"])
    assert not ended.value.code
    assert "usage: tool" in capsys.readouterr().out
    with module.refusals_as_sentences("tool"):
        assert tyro.cli(Options, args=["--out", "a"]).out == "a"


def run_robotkit(arguments: list[str]) -> int:
    return robotkit.cli.main(arguments)


def run_train(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as ended:
        rl.cli.main(arguments)
    return int(ended.value.code or 0)


def run_serve(arguments: list[str]) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["robotkit-serve", *arguments])
        with pytest.raises(SystemExit) as ended:
            serve()
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("run", "line", "said"),
    [
        (run_robotkit, "", "robotkit needs one of these commands: list, init"),
        (run_robotkit, "lits", "there is no command 'lits'. Did you mean 'list'? `robotkit --help` lists"),
        (run_robotkit, "calibrate", "robotkit calibrate needs one of these commands: camera, hand-eye"),
        (run_robotkit, "calibrate camera", "robotkit calibrate camera needs PATH, --camera STR"),
        (run_robotkit, "recover --cell fake", "robotkit recover needs CELL, before the options and without a name"),
        (run_robotkit, "watch fake --rate 3", "robotkit watch does not take --rate, 3. Did you mean --rate-hz?"),
        (
            run_robotkit,
            "cameras fake --camera front",
            "robotkit cameras does not take --camera front. `robotkit cameras",
        ),
        (run_robotkit, "init a.toml --template x", "--template must be one of franka-hand, franka-robotiq-realsense"),
        (run_train, "train --steps ten", "--steps must be a whole number, not 'ten'. `robotkit-train train --help`"),
        (
            run_train,
            "train --utd-rato 3",
            "robotkit-train train does not take --utd-rato, 3. Did you mean --utd-",
        ),
        (run_train, "classifier --bogus", "robotkit-train classifier does not take --bogus"),
        (run_train, "record demos", "robotkit-train record demos needs --env STR, --out PATH"),
        (run_train, "record", "`robotkit-train record` needs one of these commands: demos, success."),
        (
            run_train,
            "record demo",
            "`robotkit-train record` needs one of these commands: demos, success. Did you mean 'record demos'?",
        ),
        (run_train, "bc --demos /no/file --out a", "/no/file does not exist, and a file of transitions is asked for"),
        (run_serve, "", "robotkit-serve needs --cell STR"),
        (run_serve, "--cell fake --port abc", "--port must be a whole number, not 'abc'"),
    ],
)
def test_every_tool_refuses_in_the_same_form(
    run: Callable[[list[str]], int], line: str, said: str, capsys: pytest.CaptureFixture[str]
):
    assert run(line.split()) == 2
    printed = capsys.readouterr()
    assert not printed.out
    assert printed.err.startswith(f"error: {said}")
    assert printed.err.count("\n") == 1
