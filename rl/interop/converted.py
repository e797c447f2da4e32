"""The files that a conversion writes: a weight file of the frozen ResNet-10, or the directory of a run."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from rl.agents.continuous.sac import SACAgent
from rl.config import TrainConfig, save_config
from rl.errors import CheckpointError
from rl.interop.flax_files import Tree
from rl.nn.flax_params import flatten, flax_parameters, load_flax_params
from rl.nn.layers import materialise
from rl.utils.checkpoint import Checkpoints
from rl.utils.run_directory import CHECKPOINTS, CONFIG
from rl.vision.resnet_v1 import resnetv1_configs

_TRUNK = "resnetv1-10-frozen"


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
    """Numbers of an observation beside its images."""
    action_dim: int
    config: TrainConfig
    cameras: tuple[str, ...] = ()
    """Images of an observation, in the order of their features."""


def convert_trunk(params: Tree, out: Path) -> ConvertedTrunk:
    """Write the frozen ResNet-10's part of a tree as safetensors with Flax's paths and layouts.

    Raises:
        CheckpointError: an array is missing or of another shape, or the file is not called `.safetensors`.
    """
    if out.suffix != ".safetensors":
        raise CheckpointError(f"weights of an encoder are written as .safetensors, not as {out.name}: change --out")
    trunk = materialise(resnetv1_configs[_TRUNK](), torch.zeros(1, 32, 32, 3))
    wanted, arrays = flax_parameters(trunk), numbers_of(params)
    used = {path: array for path, array in arrays.items() if path in wanted}
    load_flax_params(trunk, used)
    draft = out.with_name(f".{out.name}.draft")
    save_file({path: torch.from_numpy(np.array(array, np.float32)) for path, array in used.items()}, draft)
    draft.rename(out)
    digest = hashlib.sha256(out.read_bytes()).hexdigest()
    left_out = tuple(sorted(arrays.keys() - used.keys()))
    return ConvertedTrunk(out, digest, sum(array.size for array in used.values()), left_out)


def write_run(agent: SACAgent, updates: int, out: Path, config: TrainConfig) -> TrainConfig:
    """Write an agent as the directory of a run, and return its configuration."""
    Checkpoints(out / CHECKPOINTS).save(updates, {"agent": agent.state_dict(), "updates": updates})
    found = replace(config, out=out)
    save_config(found, out / CONFIG)
    return found


def numbers_of(tree: Tree) -> dict[str, np.ndarray]:
    """The arrays of numbers in a tree, by their paths."""
    return {path: array for path, array in flatten(tree).items() if array.dtype.kind in "fiu"}


def array_of(arrays: Mapping[str, np.ndarray], path: str) -> np.ndarray:
    """One array of an agent.

    Raises:
        CheckpointError: there is none at this path.
    """
    if path not in arrays:
        raise CheckpointError(f"the agent has no {path}: it is not built as an agent of SERL or HIL-SERL is")
    return arrays[path]


def kernels_of(arrays: Mapping[str, np.ndarray], scope: str) -> list[np.ndarray]:
    """The kernels of a trunk, from the input on.

    Raises:
        CheckpointError: there is no trunk in this scope.
    """
    found = {int(m[1]): a for path, a in arrays.items() if (m := re.fullmatch(rf"{scope}Dense_(\d+)/kernel", path))}
    if not found:
        raise CheckpointError(
            f"the agent has no {scope}Dense_0/kernel: it is not built as an agent of SERL or HIL-SERL is"
        )
    return [found[index] for index in sorted(found)]


def step_count(state: Tree, step: int | None) -> int:
    """The number of updates: that in the file's name, or that in the train state."""
    return int(step if step is not None else np.asarray(state.get("step", 0)))
