"""Checkpoints of SERL's and HIL-SERL's agents that see images mean the same after the conversion."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from rl.agents.continuous.drq import DrQAgent
from rl.agents.continuous.sac_hybrid_dual import DrQAgentHybridDualArm
from rl.agents.continuous.sac_hybrid_single import DrQAgentHybridSingleArm
from rl.cli import main
from rl.config import TrainConfig, load_config
from rl.errors import CheckpointError
from rl.interop.convert import ConvertedAgent, convert
from rl.nn.flax_params import to_flax_params
from rl.utils.checkpoint import Checkpoints
from tests.golden.serl import Fixture, fixtures
from tests.rl.interop import hil_serl_trees
from tests.rl.interop.foreign import flax_bytes, train_state
from tests.rl.interop.hil_serl_trees import agent_shapes, filled

CAMERAS, STATE, SIDE = ("wrist", "front"), 5, 32
ACTION = {0: 3, 1: 4, 2: 8}
AGENTS = {0: DrQAgent, 1: DrQAgentHybridSingleArm, 2: DrQAgentHybridDualArm}
ARMS = pytest.mark.parametrize("arms", AGENTS)

Params = dict[str, np.ndarray]


def spaces(action: int, state: int = STATE, cameras: tuple[str, ...] = CAMERAS, side: int = SIDE) -> Any:
    """The spaces of an environment with these lengths, whatever its configuration."""
    images = {key: gym.spaces.Box(0, 255, (1, side, side, 3), np.uint8) for key in cameras}
    observation = gym.spaces.Dict({"state": gym.spaces.Box(-1, 1, (1, state)), **images})
    return lambda config: (observation, gym.spaces.Box(-1, 1, (action,)))


def saved(path: Path, params: Params, step: int = 7, targets: Params | None = None) -> Path:
    path.write_bytes(flax_bytes(train_state(params, step, targets)))
    return path


@cache
def tree(arms: int, seed: int = 0) -> Params:
    return filled(agent_shapes(CAMERAS, STATE, ACTION[arms], arms), seed)


def agent_of(made: Any, observation: dict[str, np.ndarray]) -> DrQAgent:
    """The agent that the run's directory describes."""
    assert isinstance(made, ConvertedAgent)
    config = load_config(made.directory / "config.json")
    kind = {"drq": DrQAgent, "hybrid-single": DrQAgentHybridSingleArm, "hybrid-dual": DrQAgentHybridDualArm}
    _, state = Checkpoints(made.directory / "checkpoints").load()
    agent = kind[config.agent_name].create_drq(observation, made.action_dim, config.agent, seed=9)
    agent.load_state_dict(state["agent"])
    return agent


def scenes(count: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = {
        key: torch.randint(256, (count, 1, SIDE, SIDE, 3), generator=generator, dtype=torch.uint8) for key in CAMERAS
    }
    return {"state": torch.randn(count, 1, STATE, generator=generator), **images}


def layer(x: np.ndarray, params: Params, scope: str, member: int | None = None) -> np.ndarray:
    kernel, bias = (params[f"{scope}/{name}"] for name in ("kernel", "bias"))
    return x @ kernel + bias if member is None else x @ kernel[member] + bias[member]


def normalised(x: np.ndarray, params: Params, scope: str, member: int | None = None) -> np.ndarray:
    scale, bias = (params[f"{scope}/{name}"] for name in ("scale", "bias"))
    scale, bias = (scale, bias) if member is None else (scale[member], bias[member])
    return np.tanh((x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6) * scale + bias)


@ARMS
def test_an_agent_of_hil_serl_values_what_its_tree_says(tmp_path: Path, arms: int):
    params = tree(arms)
    frozen = {path: value for path, value in params.items() if "pretrained_encoder" in path}
    targets = tree(arms, seed=1) | frozen
    source = saved(tmp_path / "checkpoint_20", params, 20, targets)
    made = convert(source, tmp_path / "run", TrainConfig(), spaces=spaces(ACTION[arms]))
    assert isinstance(made, ConvertedAgent)
    assert (made.updates, made.cameras, made.observation_dim, made.action_dim) == (20, CAMERAS, STATE, ACTION[arms])
    given = scenes(3)
    agent = agent_of(made, {key: value[0].numpy() for key, value in given.items()})
    assert type(agent) is AGENTS[arms]
    assert (agent.config.hidden_dims, agent.config.critic_ensemble_size) == (hil_serl_trees.HIDDEN, 2)
    for module, expected in ((agent.state.modules, params), (agent.state.targets, targets)):
        found = to_flax_params(module)
        assert found.keys() == {path.replace("VmapMLP_0/", "") for path in expected}
        for path, value in expected.items():
            np.testing.assert_array_equal(found[path.replace("VmapMLP_0/", "")], value, err_msg=path)
    with torch.no_grad():
        features = agent.encoder(given).numpy().astype(np.float64)
        policy = agent.state.modules["actor"](given).mode().numpy()
    x = features
    for index in range(2):
        scope = f"modules_actor/network/{{}}_{index}"
        x = normalised(layer(x, params, scope.format("Dense")), params, scope.format("LayerNorm"))
    np.testing.assert_allclose(policy, np.tanh(layer(x, params, "modules_actor/Dense_0")), atol=2e-5)
    with torch.no_grad():
        values = agent.state.modules["critic"](given, torch.from_numpy(policy)).numpy()
    for member in range(2):
        x = np.concatenate((features, policy), -1)
        for index in range(2):
            scope = f"modules_critic/network/VmapMLP_0/{{}}_{index}"
            x = normalised(layer(x, params, scope.format("Dense"), member), params, scope.format("LayerNorm"), member)
        np.testing.assert_allclose(values[member], layer(x, params, "modules_critic/Dense_0")[:, 0], atol=2e-5)
    if arms:
        x = layer(features, params, "modules_grasp_critic/network/Dense_0")
        x = normalised(x, params, "modules_grasp_critic/network/LayerNorm_0")
        x = layer(layer(x, params, "modules_grasp_critic/network/Dense_1"), params, "modules_grasp_critic/Dense_0")
        with torch.no_grad():
            np.testing.assert_allclose(agent.state.modules["grasp_critic"](given).numpy(), x, atol=2e-5)
        moves = np.stack([x.argmax(-1) // 3 ** (arms - 1 - arm) % 3 - 1 for arm in range(arms)], -1)
        chosen = agent.sample_actions({key: value.numpy() for key, value in given.items()}, argmax=True)
        np.testing.assert_array_equal(chosen.reshape(3, arms, -1)[..., -1], moves)


def recorded(name: str) -> Fixture:
    return next(fixture for fixture in fixtures() if fixture.name == name)


@pytest.mark.parametrize("encoder", ["small", "resnet-pretrained"])
def test_a_recorded_agent_of_serl_acts_the_same(tmp_path: Path, encoder: str):
    fixture = recorded(f"drq_full_forward_{encoder}")
    given = fixture.tensors("in", "obs")
    one = {key: value[0].numpy() for key, value in given.items()}
    has = gym.spaces.Dict({key: gym.spaces.Box(0, 255, value.shape, value.dtype) for key, value in one.items()})
    action = gym.spaces.Box(-1, 1, (4,))
    keys = ("front", "wrist")
    source = saved(tmp_path / "checkpoint", fixture.params)
    made = convert(source, tmp_path / "run", TrainConfig(), spaces=lambda config: (has, action), image_keys=keys)
    assert isinstance(made, ConvertedAgent)
    assert made.config.agent.encoder.encoder_type == encoder
    agent = agent_of(made, one)
    with torch.no_grad():
        fixture.assert_close(agent.state.modules["critic"](given, fixture.tensors("in")["actions"]), "out/q")
    fixture.assert_close(agent.sample_actions(one, argmax=True), "out/argmax_single")


def test_evaluate_measures_a_converted_agent_that_sees(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    source = saved(tmp_path / "checkpoint_5", filled(agent_shapes(("front", "wrist"), 1, 1)))
    env, run = "tests.support.tiny_pixels:FollowLight-v0", str(tmp_path / "run")
    main(["convert", str(source), "--out", run, "--env", env])
    assert "after 5 updates, front, wrist, 1 numbers in, 1 out" in " ".join(capsys.readouterr().out.split())
    main(["evaluate", "--out", run, "--episodes", "1"])
    assert "checkpoint after 5 updates" in capsys.readouterr().out


def light(params: Params) -> Params:
    """A tree without the blocks of its frozen trunk, for refusals that do not come to them."""
    return {path: value for path, value in params.items() if "/ResNetBlock_" not in path}


def without(path: str) -> Params:
    return {name: value for name, value in tree(1).items() if name != path}


def with_moves(count: int) -> Params:
    head = "modules_grasp_critic/Dense_0"
    return light(tree(1)) | {
        f"{head}/kernel": np.zeros((7, count), np.float32),
        f"{head}/bias": np.zeros(count, np.float32),
    }


REFUSED: dict[str, tuple[Any, dict[str, Any]]] = {
    "missing modules_critic/network/Dense_1/kernel": (
        lambda: without("modules_critic/network/VmapMLP_0/Dense_1/kernel"), {},
    ),
    "unknown modules_critic/extra": (lambda: tree(1) | {"modules_critic/extra": np.zeros(1, np.float32)}, {}),
    "weighs 5 moves: one gripper has 3, two have 9": (lambda: with_moves(5), {}),
    "has modules_actor, modules_critic, modules_temperature, modules_vice": (
        lambda: light(tree(0)) | {"modules_vice/x": np.zeros(1, np.float32)}, {},
    ),
    "the encoder of wrist is none of": (
        lambda: light(without("modules_actor/encoder/encoder_wrist/pretrained_encoder/conv_init/kernel")), {},
    ),
    "takes 5 numbers beside its images and gives 4; .* has 6 and takes 4": (
        lambda: light(tree(1)), {"spaces": spaces(4, state=6)},
    ),
    "has 5 and takes 7": (lambda: light(tree(1)), {"spaces": spaces(7)}),
    "looks at wrist, and .* has no such camera, but front": (
        lambda: light(tree(1)), {"spaces": spaces(4, cameras=("front",))},
    ),
    "looks at front, wrist, wrist first, not at front, wrist": (
        lambda: light(tree(1)), {"image_keys": ("front", "wrist")},
    ),
    "not at wrist, side": (lambda: light(tree(1)), {"image_keys": ("wrist", "side")}),
    "in an order that its checkpoint does not tell: give --image-keys": (
        lambda: light(filled(agent_shapes(("b", "a", "c"), STATE, 4, 1))), {},
    ),
    "an environment, which tells their size": (lambda: light(tree(1)), {"spaces": None}),
}  # fmt: skip


@pytest.mark.parametrize("reason", REFUSED)
def test_other_trees_are_refused_and_nothing_is_written(tmp_path: Path, reason: str):
    make, changes = REFUSED[reason]
    source = saved(tmp_path / "source", make())
    with pytest.raises(CheckpointError, match=reason):
        convert(source, tmp_path / "run", TrainConfig(), **{"spaces": spaces(4), **changes})
    assert list(tmp_path.iterdir()) == [source]
