"""Converts checkpoints of SERL's and HIL-SERL's agents that see images: DrQ, and the hybrid agents for grippers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from rl.agents.continuous.agent_configs import AGENT_CONFIGS, default_agent_config
from rl.agents.continuous.drq import DrQAgent
from rl.agents.continuous.drq_config import DrqConfig
from rl.agents.continuous.sac_hybrid_config import HybridConfig
from rl.agents.continuous.sac_hybrid_dual import DrQAgentHybridDualArm
from rl.agents.continuous.sac_hybrid_grippers import MOVES
from rl.agents.continuous.sac_hybrid_single import DrQAgentHybridSingleArm
from rl.common.encoder_config import EncoderConfig
from rl.config import TrainConfig
from rl.errors import CheckpointError
from rl.interop.converted import (
    ConvertedAgent,
    array_of,
    convert_trunk,
    kernels_of,
    numbers_of,
    step_count,
    write_run,
)
from rl.interop.flax_files import Tree
from rl.nn.flax_params import load_flax_params, without_stacked_level

Arrays = Mapping[str, np.ndarray]

_ENCODER = "modules_actor/encoder"
_TRUNK = "pretrained_encoder"
_NETWORKS = {"modules_actor", "modules_critic", "modules_temperature"}
_GRASP = "modules_grasp_critic"
_AGENTS: Mapping[str, type[DrQAgent]] = {
    "drq": DrQAgent,
    "hybrid-single": DrQAgentHybridSingleArm,
    "hybrid-dual": DrQAgentHybridDualArm,
}


def convert_pixel_agent(
    state: Tree,
    params: Tree,
    out: Path,
    config: TrainConfig,
    step: int | None,
    spaces: Callable[[TrainConfig], tuple[gym.Space[Any], gym.Space[Any]]],
    image_keys: tuple[str, ...] | None,
) -> ConvertedAgent:
    """Write a train state as a run's directory, with the frozen ResNet-10 of its encoder beside it, if it has one.

    Optimizers start anew, because nothing continues from it.

    Args:
        state: the train state.
        params: its parameters.
        out: directory to write.
        config: what the parameters do not tell.
        step: number of updates; that of the state when not given.
        spaces: tells the spaces of the environment of a configuration.
        image_keys: cameras in the order of the training, where somebody has said it.

    Raises:
        CheckpointError: it is another agent, or it does not fit the settings or the environment.
    """
    arrays = without_stacked_level(numbers_of(params))
    name = _agent_name(params, arrays)
    cameras = _cameras_in_order(params["modules_actor"]["encoder"], image_keys)
    settings = _settings(arrays, _base(config, name), cameras)
    found = replace(config, agent=settings)
    observation, action = spaces(found)
    sample = {key: np.zeros(space.shape, space.dtype) for key, space in _spaces_of(observation).items()}
    _require_fit(arrays, settings, sample, gym.spaces.flatdim(action), config.env)
    agent = _AGENTS[name].create_drq(sample, gym.spaces.flatdim(action), settings, seed=config.seed)
    targets = state.get("target_params")
    load_flax_params(agent.state.targets, numbers_of(targets) if isinstance(targets, dict) else arrays)
    load_flax_params(agent.state.modules, arrays)  # last: a frozen trunk is one and the same in both
    if settings.encoder.encoder_type == "resnet-pretrained":
        out.mkdir(parents=True)
        tree = params["modules_actor"]["encoder"][f"encoder_{cameras[0]}"][_TRUNK]
        trunk = convert_trunk(tree, out.resolve() / "resnet10.safetensors")
        encoder = replace(settings.encoder, pretrained_path=str(trunk.path), pretrained_sha256=trunk.sha256)
        found = replace(found, agent=replace(settings, encoder=encoder))
    updates, state_length = step_count(state, step), int(np.size(sample.get("state", ())))
    written = write_run(agent, updates, out, found)
    return ConvertedAgent(out, updates, state_length, gym.spaces.flatdim(action), written, cameras)


def _spaces_of(observation: gym.Space[Any]) -> Mapping[str, Any]:
    return observation.spaces if isinstance(observation, gym.spaces.Dict) else {}


def _agent_name(params: Tree, arrays: Arrays) -> str:
    names = {name for name in params if name.startswith("modules_")}
    if names == _NETWORKS:
        return "drq"
    if names != _NETWORKS | {_GRASP}:
        raise CheckpointError(
            f"of the agents that see images DrQ and HIL-SERL's hybrid agents are converted; this one has "
            f"{', '.join(sorted(names))}"
        )
    moves = len(array_of(arrays, f"{_GRASP}/Dense_0/bias"))
    if moves not in (MOVES, MOVES**2):
        raise CheckpointError(
            f"the grasp critic of this agent weighs {moves} moves: one gripper has {MOVES}, two have {MOVES**2}"
        )
    return "hybrid-single" if moves == MOVES else "hybrid-dual"


def _base(config: TrainConfig, name: str) -> DrqConfig:
    """The settings of a run's agent where it is of this kind, else those of SERL or HIL-SERL."""
    if type(config.agent) is AGENT_CONFIGS[name]:
        assert isinstance(config.agent, DrqConfig)
        return config.agent
    settings = default_agent_config(name)
    assert isinstance(settings, DrqConfig)
    return replace(settings.as_in_serl(), activations=config.agent.activations)


def _cameras_in_order(encoder: Tree, given: tuple[str, ...] | None) -> tuple[str, ...]:
    """The cameras in the order in which their features are joined; a checkpoint tells the first alone, by its trunk."""
    found = sorted(name.removeprefix("encoder_") for name in encoder if name.startswith("encoder_"))
    first = [name for name in found if _TRUNK in encoder[f"encoder_{name}"]]
    if given is not None:
        if sorted(given) != found or given[: len(first)] != tuple(first):
            begins = f", {first[0]} first" if first else ""
            raise CheckpointError(
                f"this agent looks at {', '.join(found)}{begins}, not at {', '.join(given)}: give --image-keys as the "
                "training's configuration has them"
            )
        return given
    if len(found) == 1 or (first and len(found) == 2):
        return (*first, *(name for name in found if name not in first))
    raise CheckpointError(
        f"this agent joins the features of {', '.join(found)} in an order that its checkpoint does not tell: give "
        "--image-keys in the order of the training's configuration"
    )


def _settings(arrays: Arrays, base: DrqConfig, cameras: tuple[str, ...]) -> DrqConfig:
    kernels = kernels_of(arrays, "modules_actor/network/")
    has_norm = "modules_actor/network/LayerNorm_0/scale" in arrays
    ensemble = len(array_of(arrays, "modules_critic/network/Dense_0/bias"))
    subset = base.critic_subsample_size
    settings = replace(
        base,
        encoder=_encoder_settings(arrays, base.encoder, cameras),
        hidden_dims=_widths(kernels),
        use_layer_norm=has_norm,
        critic_ensemble_size=ensemble,
        critic_subsample_size=None if subset is None else min(subset, ensemble),
    )
    if not isinstance(settings, HybridConfig):
        return settings
    grasp = _widths(kernels_of(arrays, f"{_GRASP}/network/"))
    ends_active = f"{_GRASP}/network/LayerNorm_{len(grasp) - 1}/scale" in arrays
    return replace(settings, grasp_hidden_dims=grasp, grasp_activates_final=ends_active)


def _widths(kernels: list[np.ndarray]) -> tuple[int, ...]:
    return tuple(int(kernel.shape[-1]) for kernel in kernels)


def _encoder_settings(arrays: Arrays, base: EncoderConfig, cameras: tuple[str, ...]) -> EncoderConfig:
    scope = f"{_ENCODER}/encoder_{cameras[0]}"
    kinds = {"resnet-pretrained": f"{_TRUNK}/conv_init/kernel", "resnet": "conv_init/kernel", "small": "Conv_0/kernel"}
    kind = next((kind for kind, sign in kinds.items() if f"{scope}/{sign}" in arrays), None)
    if kind is None:
        raise CheckpointError(
            f"the encoder of {cameras[0]} is none of {', '.join(kinds)}: it has no "
            f"{', '.join(f'{scope}/{sign}' for sign in kinds.values())}"
        )
    embeddings, state = arrays.get(f"{scope}/SpatialLearnedEmbeddings_0/kernel"), f"{_ENCODER}/Dense_0/kernel"
    return replace(
        base,
        encoder_type=kind,
        image_keys=cameras,
        use_proprio=state in arrays,
        proprio_latent_dim=arrays[state].shape[-1] if state in arrays else base.proprio_latent_dim,
        num_spatial_blocks=base.num_spatial_blocks if embeddings is None else embeddings.shape[-1],
        bottleneck_dim=array_of(arrays, f"{scope}/Dense_0/kernel").shape[-1],
        pretrained_path=None,
        pretrained_sha256=None,
    )


def _require_fit(arrays: Arrays, settings: DrqConfig, sample: Mapping[str, np.ndarray], action: int, env: str) -> None:
    """Refuse an environment of other lengths or without a camera."""
    arms = settings.arms if isinstance(settings, HybridConfig) else 0
    takes = len(arrays[f"{_ENCODER}/Dense_0/kernel"]) if settings.encoder.use_proprio else 0
    gives = len(array_of(arrays, "modules_actor/Dense_0/bias")) + arms
    has = int(np.size(sample.get("state", ()))) if settings.encoder.use_proprio else 0
    if (takes, gives) != (has, action):
        raise CheckpointError(
            f"this agent takes {takes} numbers beside its images and gives {gives}; {env} has {has} and takes "
            f"{action}: give the agent's own environment with --env"
        )
    if missing := [key for key in settings.encoder.cameras() if key not in sample]:
        there = ", ".join(key for key in sample if key != "state") or "none"
        raise CheckpointError(
            f"this agent looks at {', '.join(missing)}, and {env} has no such camera, but {there}: give the agent's "
            "own environment with --env"
        )
