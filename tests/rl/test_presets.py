"""U11: a preset that is made for demonstrations, a person or a classifier says so when it goes without."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rl.cli import main
from rl.presets import PRESETS, find_missing_options, make_preset

WORDS = {"replay.demos": "demo", "reward_classifier": "--reward-classifier", "human": "--human"}
"""What the docstring of a preset that expects an option says."""


@pytest.mark.parametrize("name", PRESETS)
def test_u11_what_the_help_of_a_preset_asks_for_is_missed(name: str):
    """The docstring of a preset says which options to give."""
    told = PRESETS[name].__doc__ or ""
    asked = {option for option, word in WORDS.items() if word in told}
    assert set(find_missing_options(make_preset(name))) == asked


def test_u11_what_is_given_is_not_missed():
    config = make_preset("hil")
    assert find_missing_options(config) == ["human", "replay.demos"]
    given = replace(config, human="spacemouse", replay=replace(config.replay, demos=(Path("demos.sqlite"),)))
    assert find_missing_options(given) == []


@pytest.mark.parametrize(
    ("command", "preset", "options"),
    [
        ("train", "demo", ["--replay.demos"]),
        ("train", "drq-classifier", ["--reward-classifier", "--replay.demos"]),
        ("learner", "drq-classifier", ["--replay.demos"]),
        ("train", "default", []),
    ],
)
def test_u11_a_command_warns_of_each_option(
    command: str, preset: str, options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    monkeypatch.setattr("rl.utils.subprocesses.StopSignal.listen", lambda self: self)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(SystemExit):
        main([command, "--preset", preset, "--env", "tests.support.tiny_env:FollowTarget-v0", "--out", str(tmp_path)])
    warned = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert len(warned) == len(options)
    for line, option in zip(warned, options, strict=True):
        assert line.startswith(f"warning: --preset {preset} is made for a training with {option}, which is not given: ")
