"""The table of commands: each of them is there, the help lists them all, and another name ends with their list."""

from __future__ import annotations

import pytest

from rl.cli import COMMANDS, RENAMED, find_command, main


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_of_the_table_is_there_and_explains_its_options(name: str, capsys: pytest.CaptureFixture[str]):
    assert find_command(name).summary
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert f"usage: python -m rl {name}" in capsys.readouterr().out


@pytest.mark.parametrize("old", RENAMED)
def test_an_old_name_of_a_command_still_works_and_tells_the_new_one(old: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main([old, "--help"])
    assert ended.value.code == 0
    told = capsys.readouterr()
    assert f"`python -m rl {old}` is now `python -m rl {RENAMED[old]}`" in told.err
    assert f"usage: python -m rl {RENAMED[old]}" in told.out


def test_the_help_lists_every_command_with_what_it_does(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    for name in COMMANDS:
        assert f"• {name} " in told
        assert find_command(name).summary.split()[0] in told


@pytest.mark.parametrize("arguments", [["fly"], [], ["--steps", "3"]])
def test_what_is_no_command_ends_with_the_list_and_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    error = " ".join(capsys.readouterr().err.split())
    assert "python -m rl --help" in error
    assert "record-demos" in error
