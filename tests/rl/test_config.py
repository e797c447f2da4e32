"""A configuration survives the disk, keeps its secret, and refuses what cannot run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rl.config import EvaluationConfig, LinkConfig, ReplayConfig, TrainConfig, load_config, save_config
from rl.errors import ConfigError
from rl.presets import PRESETS, make_preset


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_survives_the_disk(tmp_path: Path, name: str):
    config = replace(make_preset(name), out=tmp_path, steps=123)
    assert config.preset == name
    save_config(config, tmp_path / "config.json")
    assert load_config(tmp_path / "config.json") == config


def test_a_run_of_a_preset_that_was_renamed_is_still_read(tmp_path: Path):
    config = replace(make_preset("drq-classifier"), preset="drq-judged")
    save_config(config, tmp_path / "config.json")
    assert load_config(tmp_path / "config.json") == config


def test_the_token_stays_out_of_the_file(tmp_path: Path):
    save_config(TrainConfig(link=LinkConfig(token="secret")), tmp_path / "config.json")
    assert "secret" not in (tmp_path / "config.json").read_text()
    assert load_config(tmp_path / "config.json").link.token is None


def test_a_file_of_another_version_is_refused(tmp_path: Path):
    (tmp_path / "config.json").write_text('{"stepz": 3}')
    with pytest.raises(ConfigError, match="stepz"):
        load_config(tmp_path / "config.json")


def test_the_token_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RL_LINK_TOKEN", "from the environment")
    assert LinkConfig().secret() == "from the environment"
    assert LinkConfig(token="given").secret() == "given"


def test_interventions_need_demonstrations_to_mix_them_with():
    config = make_preset("hil")
    with pytest.raises(ConfigError, match="record-demos"):
        config.require_demos()
    replace(config, replay=replace(config.replay, demos=(Path("demos.sqlite"),))).require_demos()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"human": "scripted", "action_repeat": 2}, "--action-repeat 1"),
        ({"human": "scripted", "evaluation": EvaluationConfig(where="actor")}, "would help in the evaluations"),
        ({"replay": ReplayConfig(interventions=-1)}, "--replay.interventions"),
    ],
)
def test_a_human_helps_where_it_means_something(changes, message):
    with pytest.raises(ConfigError, match=message):
        replace(make_preset("default"), **changes)
