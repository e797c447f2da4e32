"""Converts weights of SERL: the public ResNet-10, and checkpoints of the agent that learns from states."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from safetensors.torch import save_file

from rl.agents.continuous.sac import SACAgent
from rl.agents.continuous.sac_config import SacConfig
from rl.config import TrainConfig, save_config
from rl.errors import CheckpointError
from rl.interop.flax_files import Tree, check_complete, checkpoint_file, read_flax_file, step_of
from rl.nn.flax_params import flatten, flax_parameters, load_flax_params
from rl.nn.layers import materialise
from rl.utils.checkpoint import Checkpoints
from rl.utils.run_directory import CHECKPOINTS, CONFIG
from rl.vision.resnet_v1 import resnetv1_configs

_TRUNK = "resnetv1-10-frozen"
_STATE_NETWORKS = {"modules_actor", "modules_critic", "modules_temperature"}


Sizes: TypeAlias = Callable[[], tuple[int, int]]


@dataclass(frozen=True)
class ConvertedTrunk:
    """A weight file for the encoder `resnet-pretrained`."""

    path: Path
    sha256: str
    """Checksum of the new file: what the encoder asks for."""
    parameters: int
    left_out: tuple[str, ...]
    """Arrays of the source that the trunk has no use for, such as the classifier of ImageNet."""


@dataclass(frozen=True)
class ConvertedAgent:
    """A run's directory that `evaluate` can read."""

    directory: Path
    updates: int
    observation_dim: int
    action_dim: int
    config: TrainConfig


def convert(
    source: Path, out: Path, config: TrainConfig, sha256: str | None = None, sizes: Sizes | None = None
) -> ConvertedTrunk | ConvertedAgent:
    """Convert whichever of the two a file holds.

    Args:
        source: a pickled or msgpacked tree of parameters, or a directory of checkpoints, whose newest is taken.
        out: the `.safetensors` file, or the directory, to write; must not exist.
        config: what the file does not tell: environment, activation, discount and the like.
        sha256: checksum of the source, checked when given.
        sizes: tells the length of observations and actions of the environment, which an agent must fit; asked only
            when there is an agent.

    Raises:
        CheckpointError: the source cannot be read, is neither, or `out` exists.
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
    if "modules_actor" in params:
        return convert_agent(state, out, config, step_of(file), sizes)
    raise CheckpointError(
        f"{file} holds neither a ResNet-10 (conv_init, …) nor an agent of SERL (modules_actor, …), but "
        f"{', '.join(list(params)[:8]) or 'nothing'}"
    )


def _inner(tree: Tree, name: str) -> Tree:
    """Return the part of that name, or the whole where the file holds that part alone."""
    inner = tree.get(name)
    return inner if isinstance(inner, dict) else tree


def convert_trunk(params: Tree, out: Path) -> ConvertedTrunk:
    """Write the frozen ResNet-10's part of a tree as safetensors with Flax's paths and layouts.

    Raises:
        CheckpointError: an array is missing or of another shape, or the file is not called `.safetensors`.
    """
    if out.suffix != ".safetensors":
        raise CheckpointError(f"weights of an encoder are written as .safetensors, not as {out.name}: change --out")
    trunk = materialise(resnetv1_configs[_TRUNK](), torch.zeros(1, 32, 32, 3))
    wanted, arrays = flax_parameters(trunk), _arrays(params)
    used = {path: array for path, array in arrays.items() if path in wanted}
    load_flax_params(trunk, used)
    draft = out.with_name(f".{out.name}.draft")
    save_file({path: torch.from_numpy(np.array(array, np.float32)) for path, array in used.items()}, draft)
    draft.rename(out)
    digest = hashlib.sha256(out.read_bytes()).hexdigest()
    left_out = tuple(sorted(arrays.keys() - used.keys()))
    return ConvertedTrunk(out, digest, sum(array.size for array in used.values()), left_out)


def convert_agent(
    state: Tree, out: Path, config: TrainConfig, step: int | None, sizes: Sizes | None = None
) -> ConvertedAgent:
    """Write a SERL train state as a run's directory; optimizers start anew, because nothing continues from it.

    Raises:
        CheckpointError: it is no agent that learns from states, it does not fit the settings or the environment.
    """
    params = _inner(state, "params")
    targets = state.get("target_params")
    _check_networks(params)
    arrays = _arrays(params)
    kernels = _kernels(arrays, "modules_actor/network/")
    dims = _rows(kernels[0]), _rows(_array(arrays, "modules_actor/Dense_0/bias"))
    has = dims if sizes is None else sizes()
    if has != dims:
        raise CheckpointError(
            f"this agent takes {dims[0]} numbers and gives {dims[1]}; {config.env} has {has[0]} and takes {has[1]}: "
            "give the agent's own environment with --env"
        )
    ensemble = _rows(_array(arrays, "modules_critic/Dense_0/bias"))
    base = state_settings(config)
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
    load_flax_params(agent.state.targets, _arrays(targets) if isinstance(targets, dict) else arrays)
    updates = int(step if step is not None else np.asarray(state.get("step", 0)))
    Checkpoints(out / CHECKPOINTS).save(updates, {"agent": agent.state_dict(), "updates": updates})
    found = replace(config, agent=settings, out=out)
    save_config(found, out / CONFIG)
    return ConvertedAgent(out, updates, *dims, found)


def state_settings(config: TrainConfig) -> SacConfig:
    """The settings of a run's agent where it learns from states, else the defaults of one that does."""
    return config.agent if type(config.agent) is SacConfig else SacConfig()


def _check_networks(params: Mapping[str, Any]) -> None:
    names = {name for name in params if name.startswith("modules_")}
    if "encoder" in params["modules_actor"] or names != _STATE_NETWORKS:
        kind = "sees images" if "encoder" in params["modules_actor"] else f"has {', '.join(sorted(names))}"
        raise CheckpointError(f"only SERL's agent that learns from states is converted; this one {kind}")


def _arrays(tree: Tree) -> dict[str, np.ndarray]:
    return {path: array for path, array in flatten(tree).items() if array.dtype.kind in "fiu"}


def _array(arrays: Mapping[str, np.ndarray], path: str) -> np.ndarray:
    if path not in arrays:
        raise CheckpointError(f"the agent has no {path}: it is not built as SERL's agent for states is")
    return arrays[path]


def _rows(array: np.ndarray) -> int:
    return int(array.shape[0])


def _kernels(arrays: Mapping[str, np.ndarray], scope: str) -> list[np.ndarray]:
    """The kernels of a trunk, from the input on."""
    found = {int(m[1]): a for path, a in arrays.items() if (m := re.fullmatch(rf"{scope}Dense_(\d+)/kernel", path))}
    if not found:
        raise CheckpointError(f"the agent has no {scope}Dense_0/kernel: it is not built as SERL's agent for states is")
    return [found[index] for index in sorted(found)]
