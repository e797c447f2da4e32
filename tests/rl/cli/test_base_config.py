"""What the options of a training start from: a preset or a run, with the settings of the chosen agent alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rl.agents.continuous.agent_configs import AGENT_CONFIGS, default_agent_config, light_agent_config
from rl.agents.continuous.vice_config import ViceConfig
from rl.cli.evaluation import EVALUATE, EvalBcOptions
from rl.cli.training import parse_train_options
from rl.config import TrainConfig, save_config
from rl.errors import ConfigError
from rl.offline.bc_options import SETTINGS, TrainBcOptions
from rl.presets import default, make_preset
from rl.training.settings import make_config

_OF_PRESET = {"serl": {}, "drq": {"actor_on_last_slice": True}}


def parse(*words: str) -> TrainConfig:
    return parse_train_options("train", list(words))


@pytest.mark.parametrize("name", AGENT_CONFIGS)
def test_an_agent_is_chosen_by_name_and_its_options_begin_with_agent(name: str):
    config = parse("--agent", name, "--agent.hidden-dims", "7", "--agent.actor-optimizer.warmup-steps", "3")
    assert config.agent_name == name
    assert config.agent.hidden_dims == (7,)
    assert config.agent.actor_optimizer.warmup_steps == 3
    asked = replace(light_agent_config(name), hidden_dims=(7,), actor_optimizer=config.agent.actor_optimizer)
    assert config == replace(default(name), agent=asked)


@pytest.mark.parametrize("name", AGENT_CONFIGS)
def test_u16_the_default_is_light_and_sized_to_what_the_agent_observes(name: str):
    config = parse("--agent", name)
    assert config == parse("--preset", "default", "--agent", name)
    assert (config.utd_ratio, config.agent.critic_ensemble_size, config.agent.critic_subsample_size) == (1, 2, None)
    sees_images = config.pixel_settings() is not None
    assert (config.replay.capacity, config.batch_size) == ((50_000, 128) if sees_images else (1_000_000, 256))
    assert config.steps <= 100_000
    config.require_steps()


def test_u16_the_default_of_the_commands_is_that_of_python():
    in_python = make_config("sac", None, "Pendulum-v1", 0, "cpu", (), None, {})
    by_command = parse("--env", "Pendulum-v1")
    pace = {"preset": "api", "steps": in_python.steps, "max_lead": None, "compile": False}
    assert replace(by_command, **pace) == in_python


def test_u16_the_papers_settings_are_presets():
    """SERL, Luo et al. 2024 (arXiv:2401.16013): ten critics of which two are taken, and rates that warm up."""
    for preset, agent in (("serl", "sac"), ("drq", "drq")):
        config = parse("--preset", preset)
        assert config.agent == replace(default_agent_config(agent).as_in_serl(), **_OF_PRESET[preset])
        assert (config.agent.critic_ensemble_size, config.agent.critic_subsample_size) == (10, 2)


def test_options_of_other_agents_do_not_exist():
    assert parse("--agent", "drq", "--agent.crop-padding", "2").pixel_settings().crop_padding == 2
    with pytest.raises(ConfigError, match=r"does not take --agent\.crop-padding, 2"):
        parse("--agent", "sac", "--agent.crop-padding", "2")


def test_a_preset_keeps_the_settings_of_its_own_agent():
    settings = make_preset("drq-demo").agent
    assert parse("--preset", "drq-demo", "--agent=drq").agent == settings
    assert parse("--preset", "drq-demo", "--agent", "vice", "--replay.n-step", "1").agent == ViceConfig(
        encoder=default_agent_config("drq").encoder
    )


def test_a_misspelled_agent_or_option_is_answered_with_what_is_close():
    with pytest.raises(ConfigError, match=r"'dqr'.*'drq'.*hybrid-dual"):
        parse("--agent", "dqr")
    with pytest.raises(ConfigError, match=r"--agent\.discont, 0\.9\. Did you mean --agent\.discount\?"):
        parse("--agent.discont", "0.9")


@pytest.mark.parametrize("old", ["--drq.hidden-dims", "--drq.hidden_dims"])
def test_an_option_that_begins_with_the_agent_s_name_still_works_and_tells_the_new_one(
    old: str, capsys: pytest.CaptureFixture[str]
):
    assert parse("--agent", "drq", old, "7").agent.hidden_dims == (7,)
    assert capsys.readouterr().err == f"`{old}` is now `{old.replace('drq', 'agent')}`\n"


@pytest.mark.parametrize("option", ["--drq.crop-padding", "--hybrid-single.grasp-exploration"])
def test_an_option_of_an_agent_that_is_not_trained_is_refused(option: str):
    with pytest.raises(ConfigError, match="the agent of this run is sac"):
        parse(option, "1")


def test_a_run_goes_on_with_its_agent(tmp_path: Path):
    config = TrainConfig(out=tmp_path, agent=default_agent_config("hybrid-dual"))
    save_config(config, tmp_path / "config.json")
    words = ("--out", str(tmp_path), "--resume", "--agent.grasp-exploration", "0.5")
    assert parse(*words) == replace(config, resume=True, agent=replace(config.agent, grasp_exploration=0.5))


def test_a_behaviour_cloning_is_evaluated_from_its_own_settings(tmp_path: Path):
    options = TrainBcOptions((tmp_path / "demos.sqlite",), Path("elsewhere"), env="Mine-v0", sees_images=True)
    SETTINGS.write(tmp_path, options)
    parsed = EVALUATE.parse("evaluate", ["--out", str(tmp_path), "--episodes", "3", "--reward-classifier", "mine"])
    assert parsed == EvalBcOptions(config=replace(options, out=tmp_path, reward_classifier=Path("mine")), episodes=3)
    adaptation = parsed.config.adaptation()
    assert (adaptation.sees_images, adaptation.reward_classifier) == (True, "mine")


def test_a_behaviour_cloning_does_not_go_on_as_another_training(tmp_path: Path):
    SETTINGS.write(tmp_path, TrainBcOptions((tmp_path / "demos.sqlite",), tmp_path))
    with pytest.raises(ConfigError, match=f"robotkit-train bc --out {tmp_path} --resume"):
        parse("--out", str(tmp_path), "--resume")
