"""The table of commands: each of them is there, the help lists them all, and another name is answered with what is."""

from __future__ import annotations

import logging
import os
import re
import sys

import pytest

from rl.cli import main
from rl.cli.table import COMMANDS, GROUPS, RENAMED, STOPPED_BY_SIGNALS, find_command, split_command


def help_of(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """What is printed and said when a command line asks for a command's help, which is no error."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    return capsys.readouterr()


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("asked", ["--help", "--help-all"])
def test_a_command_of_the_table_is_there_and_explains_its_options(
    name: str, asked: str, capsys: pytest.CaptureFixture[str]
):
    assert find_command(name).summary
    assert f"usage: robotkit-train {name}" in help_of([*name.split(), asked], capsys)[0]


@pytest.mark.parametrize("old", RENAMED)
def test_an_old_name_of_a_command_still_works_and_tells_the_new_one(old: str, capsys: pytest.CaptureFixture[str]):
    shown, said = help_of([old, "--help"], capsys)
    assert said == f"`robotkit-train {old}` is now `robotkit-train {RENAMED[old]}`\n"
    assert f"usage: robotkit-train {RENAMED[old]}" in shown
    assert RENAMED[old] in COMMANDS


def test_the_help_lists_every_command_with_what_it_does(capsys: pytest.CaptureFixture[str]):
    main(["--help"])
    shown = capsys.readouterr().out
    for name in COMMANDS:
        words = re.escape(name) + " {2,}" + re.escape(find_command(name).summary)
        assert re.search(f"^  {words}$", shown, re.MULTILINE)
    assert [line.rstrip(":") for line in shown.splitlines() if line.rstrip(":") in GROUPS] == list(GROUPS)


def test_the_first_of_two_words_lists_the_commands_that_begin_with_it(capsys: pytest.CaptureFixture[str]):
    main(["record", "--help"])
    shown = capsys.readouterr().out
    assert "record demos" in shown
    assert "record success" in shown
    assert "train" not in shown.replace("robotkit-train", "")


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["fly"], "no command 'fly'"),
        (["trian"], "Did you mean 'train'?"),
        (["evla"], "Did you mean 'evaluate'?"),
        (["record"], "`robotkit-train record` needs one of these commands: demos, success."),
        (["record", "demo"], "Did you mean 'record demos'?"),
        ([], "name a command first"),
        (["--steps", "3"], "name a command first"),
    ],
)
def test_what_is_no_command_ends_with_what_there_is_and_status_2(
    arguments: list[str], answer: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert answer in error


def test_a_command_s_own_words_stay():
    assert split_command(["record", "demos", "--env", "list"]) == ("record demos", ["--env", "list"])
    assert split_command(["replay", "train"]) == ("replay", ["train"])


def test_commands_that_signals_stop_are_commands():
    assert COMMANDS.keys() >= STOPPED_BY_SIGNALS


def test_presets_and_agents_are_listed(capsys: pytest.CaptureFixture[str]):
    main(["list"])
    shown = capsys.readouterr().out
    assert "  drq-demo " in shown
    assert "  hybrid-dual " in shown


def test_modules_of_the_current_folder_can_be_named_and_hide_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["/installed"])
    main(["list"])
    main(["list"])
    assert sys.path == ["/installed", os.getcwd()]


@pytest.mark.parametrize("library", ["OpenGL.acceleratesupport", "httpx", "uvicorn.error", "websockets.client"])
def test_u13_what_a_library_notes_is_no_noise(library: str, capsys: pytest.CaptureFixture[str]):
    main(["list"])
    assert not logging.getLogger(library).isEnabledFor(logging.INFO)
