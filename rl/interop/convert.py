"""Converts weights of SERL and HIL-SERL: the public ResNet-10, and checkpoints of agents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import gymnasium as gym

from rl.agents.continuous.sac import SACAgent
from rl.agents.continuous.sac_config import SacConfig
from rl.config import TrainConfig
from rl.errors import CheckpointError
from rl.interop.convert_pixels import convert_pixel_agent
from rl.interop.converted import (
    ConvertedAgent,
    ConvertedTrunk,
    array_of,
    convert_trunk,
    kernels_of,
    numbers_of,
    step_count,
    write_run,
)
from rl.interop.flax_files import Tree, check_complete, checkpoint_file, read_flax_file, step_of
from rl.nn.flax_params import load_flax_params

__all__ = ["ConvertedAgent", "ConvertedTrunk", "convert"]

_STATE_NETWORKS = {"modules_actor", "modules_critic", "modules_temperature"}

Spaces: TypeAlias = Callable[[TrainConfig], tuple[gym.Space[Any], gym.Space[Any]]]
"""Observations and actions of a configuration's environment, as its agent has them."""


def convert(
    source: Path,
    out: Path,
    config: TrainConfig,
    sha256: str | None = None,
    spaces: Spaces | None = None,
    image_keys: tuple[str, ...] | None = None,
) -> ConvertedTrunk | ConvertedAgent:
    """Convert whichever of them a file holds.

    Args:
        source: a pickled or msgpacked tree of parameters, or a directory of checkpoints, whose newest is taken.
        out: the `.safetensors` file, or the directory, to write; must not exist.
        config: what the file does not tell: environment, activation, discount and the like.
        sha256: checksum of the source, checked when given.
        spaces: tells the spaces of the environment, which an agent must fit; asked only when there is an agent, and
            needed when it sees images.
        image_keys: cameras of an agent that sees images, in the order of its training.

    Raises:
        CheckpointError: the source cannot be read, is none of them, or `out` exists.
    """
    file = checkpoint_file(source)
    tree = read_flax_file(file, sha256)
    check_complete(tree, file)
    if out.exists():
        raise CheckpointError(f"{out} exists already; choose another --out")
    state = _inner(tree, "state")
    params = _inner(state, "params")
    if "conv_init" in params:
        return convert_trunk(params, out)
    if "modules_actor" not in params:
        raise CheckpointError(
            f"{file} holds neither a ResNet-10 (conv_init, …) nor an agent of SERL (modules_actor, …), but "
            f"{', '.join(list(params)[:8]) or 'nothing'}"
        )
    if "encoder" not in params["modules_actor"]:
        return convert_agent(state, out, config, step_of(file), spaces)
    if spaces is None:
        raise CheckpointError("this agent sees images: it is converted for an environment, which tells their size")
    return convert_pixel_agent(state, params, out, config, step_of(file), spaces, image_keys)


def _inner(tree: Tree, name: str) -> Tree:
    """Return the part of that name, or the whole where the file holds that part alone."""
    inner = tree.get(name)
    return inner if isinstance(inner, dict) else tree


def convert_agent(
    state: Tree, out: Path, config: TrainConfig, step: int | None, spaces: Spaces | None = None
) -> ConvertedAgent:
    """Write a SERL train state as a run's directory; optimizers start anew, because nothing continues from it.

    Raises:
        CheckpointError: it is no agent that learns from states, it does not fit the settings or the environment.
    """
    params = _inner(state, "params")
    targets = state.get("target_params")
    names = {name for name in params if name.startswith("modules_")}
    if names != _STATE_NETWORKS:
        raise CheckpointError(
            f"of the agents that learn from states only SERL's is converted; this one has {', '.join(sorted(names))}"
        )
    arrays = numbers_of(params)
    kernels = kernels_of(arrays, "modules_actor/network/")
    dims = len(kernels[0]), len(array_of(arrays, "modules_actor/Dense_0/bias"))
    base = state_settings(config)
    has = dims if spaces is None else tuple(map(gym.spaces.flatdim, spaces(replace(config, agent=base))))
    if has != dims:
        raise CheckpointError(
            f"this agent takes {dims[0]} numbers and gives {dims[1]}; {config.env} has {has[0]} and takes {has[1]}: "
            "give the agent's own environment with --env"
        )
    ensemble = len(array_of(arrays, "modules_critic/Dense_0/bias"))
    subset = base.critic_subsample_size
    settings = replace(
        base,
        hidden_dims=tuple(int(kernel.shape[1]) for kernel in kernels),
        use_layer_norm="modules_actor/network/LayerNorm_0/scale" in arrays,
        critic_ensemble_size=ensemble,
        critic_subsample_size=None if subset is None else min(subset, ensemble),
    )
    agent = SACAgent.create_states(*dims, settings, seed=config.seed)
    load_flax_params(agent.state.modules, arrays)
    load_flax_params(agent.state.targets, numbers_of(targets) if isinstance(targets, dict) else arrays)
    updates = step_count(state, step)
    return ConvertedAgent(out, updates, *dims, write_run(agent, updates, out, replace(config, agent=settings)))


def state_settings(config: TrainConfig) -> SacConfig:
    """The settings of a run's agent where it learns from states, else the defaults of one that does."""
    return config.agent if type(config.agent) is SacConfig else SacConfig(activations=config.agent.activations)
