"""The help on one screen: few lines, real options, the values of what the command line starts from."""

from __future__ import annotations

import re

import pytest

from rl.agents.continuous.agent_configs import AGENT_CONFIGS
from rl.cli.command import parse
from rl.cli.table import COMMANDS, find_command
from rl.errors import ConfigError
from rl.presets import PRESETS

HAVE_MANY_OPTIONS = ("train", "learner", "actor", "evaluator", "evaluate", "bc", "classifier")
SCREEN = 60


def shown(capsys: pytest.CaptureFixture[str], name: str, *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        find_command(name).parse(name, [*words, "--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.fixture(autouse=True)
def _narrow_terminal(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_fits_on_a_screen(name: str, capsys: pytest.CaptureFixture[str]):
    assert len(shown(capsys, name).splitlines()) <= SCREEN


@pytest.mark.parametrize("preset", PRESETS)
def test_the_help_of_train_fits_for_every_preset(preset: str, capsys: pytest.CaptureFixture[str]):
    lines = shown(capsys, "train", "--preset", preset).splitlines()
    assert len(lines) <= SCREEN
    assert all(len(line) <= 80 for line in lines)


@pytest.mark.parametrize("name", HAVE_MANY_OPTIONS)
def test_what_the_help_shows_are_options_and_all_of_them_are_in_the_long_help(
    name: str, capsys: pytest.CaptureFixture[str]
):
    short = shown(capsys, name)
    with pytest.raises(SystemExit):
        find_command(name).parse(name, ["--help-all"])
    every = set(re.findall(r"--[\w.-]+", capsys.readouterr().out))
    options = set(re.findall(r"^  (--[\w.-]+)", short, re.MULTILINE))
    assert len(options) >= 9
    assert options - {"--agent"} <= every
    assert len(every) > len(options) + 9


def test_values_are_those_of_the_preset_and_the_agent(capsys: pytest.CaptureFixture[str]):
    text = shown(capsys, "train", "--preset", "drq-demo", "--agent", "vice")
    assert re.search(r"--preset TEXT .*\[drq-demo\]", " ".join(text.split()))
    assert re.search(r"--agent NAME +" + ", ".join(AGENT_CONFIGS) + r" \[vice\]", " ".join(text.split()))
    assert re.search(r"--random-steps INT .*\[300\]", text)
    assert re.search(r"--seed INT .*\[0\]", text)
    assert "--no-compile" not in text, "this preset does not compile"


def test_the_long_help_shows_the_chosen_agent_s_options_alone(capsys: pytest.CaptureFixture[str]):
    for name, has_crops in (("sac", False), ("drq", True)):
        with pytest.raises(SystemExit):
            find_command("train").parse("train", ["--agent", name, "--help-all"])
        assert ("--agent.crop-padding" in capsys.readouterr().out) is has_crops


def test_options_without_a_base_show_the_values_of_their_type(capsys: pytest.CaptureFixture[str]):
    text = shown(capsys, "bc")
    assert re.search(r"--epochs INT .*\[200\]", text)
    assert re.search(r"--demos PATH … +Files of demonstrations$", text, re.MULTILINE)


def test_a_misspelled_option_is_answered_with_what_is_close():
    base = find_command("train").find_base(["--utd-rato", "3"])
    with pytest.raises(ConfigError, match=r"--utd-rato, 3\. Did you mean --utd-ratio\?"):
        parse(find_command("train").options, "train", base)
