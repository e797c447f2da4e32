"""A configuration survives the disk, keeps its secret, and refuses what cannot run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rl.agents.continuous.agent_configs import AGENT_CONFIGS, default_agent_config
from rl.agents.continuous.sac_config import SacConfig
from rl.config import EvaluationConfig, ReplayConfig, TrainConfig, load_config, save_config
from rl.data.n_step import NStep
from rl.errors import ConfigError
from rl.link.link_config import LinkConfig
from rl.presets import PRESETS, make_preset
from rl.utils.option_words import command_line_words
from rl.wrappers.adapter_config import ONE_FRAME


@pytest.fixture(autouse=True)
def _of_a_command() -> Iterator[None]:
    """Errors name options as the command line does."""
    with command_line_words():
        yield


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


@pytest.mark.parametrize("name", AGENT_CONFIGS)
def test_a_stored_configuration_holds_the_chosen_agent_and_its_name(tmp_path: Path, name: str):
    config = TrainConfig(agent=replace(default_agent_config(name), hidden_dims=(7,)))
    save_config(config, tmp_path / "config.json")
    assert json.loads((tmp_path / "config.json").read_text())["agent"]["name"] == name
    assert load_config(tmp_path / "config.json") == config


@pytest.mark.parametrize("name", AGENT_CONFIGS)
def test_a_run_from_before_holds_every_agent_and_is_read_with_the_chosen_one(tmp_path: Path, name: str):
    config = TrainConfig(steps=5, agent=replace(default_agent_config(name), hidden_dims=(7,)))
    save_config(config, tmp_path / "config.json")
    stored = json.loads((tmp_path / "config.json").read_text())
    chosen = {key: value for key, value in stored.pop("agent").items() if key != "name"}
    stored |= {"agent": name, "sac": {}, "drq": {}, "vice": {}, "hybrid_single": {}, "hybrid_dual": {}}
    stored[name.replace("-", "_")] = chosen
    (tmp_path / "config.json").write_text(json.dumps(stored))
    assert load_config(tmp_path / "config.json") == config


def test_l3_a_run_from_before_keeps_the_price_of_its_n_step_sums(tmp_path: Path):
    """One step of a sum of ten bore the bias then, and each of them does now."""
    stored = {"replay": {"n_step": 10}, "agent": "sac", "sac": {"discount": 0.9, "reward_bias": -1.0}}
    (tmp_path / "config.json").write_text(json.dumps(stored))
    agent = load_config(tmp_path / "config.json").agent
    sums = NStep(10, agent.discount, agent.reward_bias)
    batch = {"rewards": np.zeros(10), "masks": np.ones(10), "dones": np.zeros(10)}
    batch |= {"observations": np.zeros((10, 1)), "next_observations": np.zeros((10, 1))}
    assert sums.push(batch)["rewards"][0] + agent.reward_bias == pytest.approx(-1.0)


@pytest.mark.parametrize("keeps_all", [True, False])
def test_l16_a_run_from_before_anything_was_deleted_keeps_everything(tmp_path: Path, keeps_all: bool):
    config = TrainConfig(replay=ReplayConfig(keep_all=keeps_all))
    save_config(config, tmp_path / "config.json")
    assert load_config(tmp_path / "config.json") == config
    stored = json.loads((tmp_path / "config.json").read_text())
    del stored["replay"]["keep_all"]
    (tmp_path / "config.json").write_text(json.dumps(stored))
    assert load_config(tmp_path / "config.json").replay.keep_all


def test_a_run_from_before_there_was_a_choice_learns_from_states(tmp_path: Path):
    (tmp_path / "config.json").write_text('{"steps": 5, "sac": {"discount": 0.5}}')
    expected = TrainConfig(steps=5, classifier=ONE_FRAME, agent=SacConfig(discount=0.5))
    assert load_config(tmp_path / "config.json") == expected


def test_the_token_stays_out_of_the_file(tmp_path: Path):
    save_config(TrainConfig(link=LinkConfig(token="secret")), tmp_path / "config.json")
    assert "secret" not in (tmp_path / "config.json").read_text()
    assert load_config(tmp_path / "config.json").link.token is None


def test_a_file_of_another_version_is_refused(tmp_path: Path):
    (tmp_path / "config.json").write_text('{"stepz": 3}')
    with pytest.raises(ConfigError, match="stepz"):
        load_config(tmp_path / "config.json")
    (tmp_path / "config.json").write_text('{"agent": {"name": "fly"}}')
    with pytest.raises(ConfigError, match="'fly'"):
        load_config(tmp_path / "config.json")
    (tmp_path / "config.json").write_text('{"agent": {"name": "drq", "encoder": {"size": 3}}}')
    with pytest.raises(ConfigError, match=r"agent\.drq\.encoder\.size"):
        load_config(tmp_path / "config.json")
    (tmp_path / "config.json").write_text("steps = 3")
    with pytest.raises(ConfigError, match="not JSON"):
        load_config(tmp_path / "config.json")


def test_the_token_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RL_LINK_TOKEN", "from the environment")
    assert LinkConfig().secret() == "from the environment"
    assert LinkConfig(token="given").secret() == "given"


def test_interventions_need_demonstrations_to_mix_them_with():
    config = make_preset("hil")
    with pytest.raises(ConfigError, match="record demos"):
        config.require_demos()
    replace(config, replay=replace(config.replay, demos=(Path("demos.sqlite"),))).require_demos()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 40, "training_starts": 100}, "first update comes after 101 steps .*--steps 40"),
        ({"steps": 1000, "training_starts": 1000, "env_steps_per_update": None, "max_lead": None}, "after 1001 steps"),
        ({"training_starts": 5, "replay": ReplayConfig(n_step=6)}, "--training-starts 5 must be at least 6"),
        ({"training_starts": 8, "actors": 4, "replay": ReplayConfig(n_step=3)}, "must be at least 9, .* --actors 4"),
    ],
)
def test_a_run_that_would_never_start_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        replace(make_preset("default"), **changes).require_trainable()


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_starts(name: str):
    make_preset(name).require_steps()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"log_every": 0}, "--log-every must be at least 1"),
        ({"keep_checkpoints": 0}, "--keep-checkpoints must be at least 1"),
        ({"replay": ReplayConfig(capacity=0)}, "--replay.capacity must be at least 1"),
        ({"link": LinkConfig(capacity=0)}, "--link.capacity must be at least 1"),
        ({"link": LinkConfig(silence_s=0.0)}, "--link.silence-s must be positive"),
        ({"evaluation": EvaluationConfig(episodes=0)}, "--evaluation.episodes must be at least 1"),
    ],
)
def test_a_number_that_would_stop_the_run_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        TrainConfig(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"human": "scripted", "action_repeat": 2}, "--action-repeat 1"),
        ({"replay": ReplayConfig(interventions=-1)}, "--replay.interventions"),
    ],
)
def test_a_human_helps_where_it_means_something(changes, message):
    with pytest.raises(ConfigError, match=message):
        replace(make_preset("default"), **changes)


def test_a_bias_of_the_rewards_is_a_number():
    for bias in (float("nan"), float("inf")):
        with pytest.raises(ConfigError, match=f"reward_bias must be a finite number, not {bias}"):
            SacConfig(reward_bias=bias)
