"""U11: a preset that is made for demonstrations, a person or a classifier says so when it goes without."""

from __future__ import annotations

from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

from rl.cli import main
from rl.common.optimizer_config import OptimizerConfig
from rl.presets import PRESETS, find_missing_options, make_preset

HIL_SERL = {
    "steps": 1_000_000,
    "batch_size": 256,
    "utd_ratio": 2,
    "env_steps_per_update": None,
    "max_lead": None,
    "random_steps": 0,
    "training_starts": 100,
    "publish_every": 50,
    "log_every": 10,
    "checkpoint_every": 5000,
    "keep_checkpoints": 100,
    "frame_stack": 1,
    "action_repeat": 1,
    "replay.capacity": 200_000,
    "replay.interventions": 200_000,
    "replay.demo_share": 0.5,
    "replay.n_step": 1,
    "evaluation.every_steps": 0,
    "link.capacity": 50_000,
    "agent.critic_ensemble_size": 2,
    "agent.critic_subsample_size": None,
    "agent.discount": 0.97,
    "agent.reward_bias": 0.0,
    "agent.soft_target_update_rate": 0.005,
    "agent.hidden_dims": (256, 256),
    "agent.activations": "tanh",
    "agent.use_layer_norm": True,
    "agent.std_parameterization": "exp",
    "agent.std_min": 1e-5,
    "agent.std_max": 5.0,
    "agent.temperature_init": 1e-2,
    "agent.target_entropy": None,
    "agent.backup_entropy": False,
    "agent.average_policy": False,
    "agent.standardises_inputs": False,
    "agent.joint_last_step": True,
    "agent.selective_optimizer_steps": False,
    "agent.subsample_with_replacement": True,
    "agent.crop_padding": 4,
    "agent.crops_as_in_serl": True,
    "agent.actor_optimizer": OptimizerConfig(3e-4),
    "agent.critic_optimizer": OptimizerConfig(3e-4),
    "agent.temperature_optimizer": OptimizerConfig(3e-4),
    "agent.encoder.encoder_type": "resnet-pretrained",
    "agent.encoder.use_proprio": True,
    "agent.encoder.proprio_latent_dim": 64,
    "agent.encoder.pooling_method": "spatial_learned_embeddings",
    "agent.encoder.num_spatial_blocks": 8,
    "agent.encoder.bottleneck_dim": 256,
}
"""HIL-SERL's settings, from its `examples/experiments/config.py`, `examples/train_rlpd.py`, `utils/launcher.py`, and
the agents' `create_pixels` and `create`."""
HIL_SERL_HYBRID = {
    "agent.grasp_critic_optimizer": OptimizerConfig(3e-4),
    "agent.grasp_hidden_dims": (256, 256),
    "agent.grasp_activates_final": False,
    "agent.grasp_exploration": 0.0,
    "agent.critic_sees_gripper": False,
    "agent.target_entropy_counts_grippers": True,
}
"""What its hybrid agents have beside."""

WORDS = {"replay.demos": "demo", "reward_classifier": "--reward-classifier", "human": "--human"}
"""What the docstring of a preset that expects an option says."""


@pytest.mark.parametrize("name", PRESETS)
def test_u11_what_the_help_of_a_preset_asks_for_is_missed(name: str):
    """The docstring of a preset says which options to give."""
    told = PRESETS[name].__doc__ or ""
    asked = {option for option, word in WORDS.items() if word in told}
    assert set(find_missing_options(make_preset(name))) == asked


@pytest.mark.parametrize(
    ("name", "agent", "settings"),
    [
        ("hil-serl", "drq", HIL_SERL),
        ("hil-serl-single", "hybrid-single", HIL_SERL | HIL_SERL_HYBRID),
        ("hil-serl-dual", "hybrid-dual", HIL_SERL | HIL_SERL_HYBRID),
    ],
)
def test_hil_serls_presets_hold_its_own_settings(name: str, agent: str, settings: dict[str, Any]):
    config = make_preset(name)
    assert config.agent_name == agent
    assert {field: attrgetter(field)(config) for field in settings} == settings


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
