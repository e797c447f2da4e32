"""Behaviour cloning from demonstration files: `robotkit-train bc`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from rich.console import Console

from rl.agents.continuous.bc import BCAgent
from rl.agents.continuous.sac_policy import SacPolicy
from rl.common.typing import Batch, Observations
from rl.errors import ConfigError
from rl.offline.bc_options import SETTINGS, TrainBcOptions
from rl.offline.demos import read_demos, split_episodes
from rl.offline.epochs import EpochContext, EpochsConfig, require_same_networks, run_epochs, say_how_to_go_on
from rl.offline.rows import Rows, on_device, shuffled_loader
from rl.plots.pictures import draw_curves
from rl.utils.checkpoint import load_checkpoint
from rl.utils.distributed import SINGLE_PROCESS, ProcessGroup, joined_process_group, local_device
from rl.utils.performance import tune_backends
from rl.utils.run_directory import CHECKPOINTS, CURVE, HG_DAGGER_SETTINGS, METRICS, claim_run
from rl.utils.seeds import Seeds
from rl.utils.subprocesses import Stop
from rl.utils.tree import map_leaves
from rl.wrappers.make_env import make_env
from rl.wrappers.pixel_observation import STATE

_CHUNK = 1024  # held-out rows that are evaluated at once


def train_bc(options: TrainBcOptions, stop: Stop, console: Console) -> int:
    """Train to the last epoch, or until the user ends the training, and draw the curve.

    Returns:
        Epochs that are done.

    Raises:
        ConfigError: the run to continue is one of HG-DAgger.
        DataError: the demonstrations do not fit the environment, or are too few to hold some out.
    """
    torch.set_num_threads(options.threads)
    device = local_device(options.device)
    tune_backends(device)
    if options.resume and (options.out / HG_DAGGER_SETTINGS).exists():
        raise ConfigError(
            f"{options.out} also learns from corrections; go on with: robotkit-train hg-dagger --out {options.out} "
            "--resume"
        )
    adaptation = replace(options.adaptation(), reward_classifier=None)  # nothing is rewarded here
    with joined_process_group(device) as group:
        with closing(make_env(options.env, options.cell, adaptation)) as env:
            cloning = Cloning(options, env.observation_space, env.action_space, device, group)
        done = cloning.run(stop, console)
        if group.is_main and done < options.epochs:
            say_how_to_go_on("bc", options.out, done, options.epochs, console)
        if group.is_main and done:
            conclude_bc(options.out, f"{done} epochs of {cloning.transitions} transitions", console)
    return done


class Cloning:
    """The training of a policy on demonstrations; nothing is written before `run`.

    Args:
        options: of the run.
        observation_space: of the environment as the policy sees it.
        action_space: of the same.
        device: where it is computed.
        group: the processes that compute it together.

    Raises:
        DataError: the demonstrations do not fit the spaces, or are too few to hold some out.
    """

    def __init__(
        self,
        options: TrainBcOptions,
        observation_space: gym.Space[Any],
        action_space: gym.Space[Any],
        device: torch.device,
        group: ProcessGroup = SINGLE_PROCESS,
    ) -> None:
        self._options, self._group = options, group
        episodes = read_demos(options.demos, observation_space, action_space)
        self._train, self._held_out = split_episodes(
            episodes, options.held_out, Seeds(options.seed).generator("held out")
        )
        self._agent = make_bc_agent(options, observation_space, action_space, device)
        self._rows = Rows(self._train)

    @property
    def transitions(self) -> int:
        """How many it trains on."""
        return len(self._rows)

    def run(self, stop: Stop, console: Console) -> int:
        """Claim the directory and train to the last epoch, or until the user ends the training.

        Returns:
            Epochs that are done.

        Raises:
            RunExists, CheckpointNotFound: the directory holds a run, or none to resume.
            CheckpointError: the run to resume has other networks.
        """
        options, group = self._options, self._group
        if group.is_main:  # now that nothing has kept it from starting
            claim_run(options.out, resume=options.resume, facts={"env": options.env, "preset": "bc"})
            if options.resume:
                require_same_networks(self._agent, options.out)
            SETTINGS.write(options.out, options)
        group.wait()
        self._agent.fit_inputs(self._train["observations"])
        config = EpochsConfig(options.epochs, options.seed, options.checkpoint_every)
        context = make_epoch_context(options, self._rows, self._agent, self._held_out, group, console)
        return run_epochs(self._agent, config, context, stop)

    def squared_error(self) -> float:
        """Mean squared error of the mode over the transitions that it trains on, summed over an action's numbers."""
        return float(evaluate(self._agent, self._train)["mse"])


def make_epoch_context(
    options: TrainBcOptions, rows: Rows, agent: BCAgent, held_out: Batch | None, group: ProcessGroup, console: Console
) -> EpochContext:
    """The objects with which the loop of epochs clones these rows; the clone is evaluated on what was held out."""
    loader, order = shuffled_loader(
        rows,
        options.batch_size,
        Seeds(options.seed).integer("order"),
        group=group,
        workers=options.workers,
        pin=agent.device.type == "cuda",
    )
    return EpochContext(loader, order, lambda: evaluate(agent, held_out), options.out, group, console)


def conclude_bc(directory: Path, done: str, console: Console) -> None:
    """Draw the curve of a run, and say what was done and how it is evaluated."""
    panels = {
        "negative log-likelihood (nats)": ("train/actor_loss", "held_out/nll"),
        "squared error of an action": ("train/mse", "held_out/mse"),
    }
    draw_curves(directory / METRICS, directory / CURVE, panels)
    for line in (
        f"{done}; curve: {directory / CURVE}",
        f"evaluate it with: robotkit-train evaluate --out {directory} --episodes 20",
    ):
        console.print(line, highlight=False, soft_wrap=True)


def make_bc_agent(
    options: TrainBcOptions, observation_space: gym.Space[Any], action_space: gym.Space[Any], device: torch.device
) -> BCAgent:
    """The agent that is trained, for the spaces of the environment as the agent sees it."""
    sample = zeros(observation_space)
    config = options.bc
    if isinstance(sample, Mapping):
        cameras = config.encoder.image_keys or tuple(name for name in sample if name != STATE)
        proprio = config.encoder.use_proprio and STATE in sample
        config = replace(config, encoder=replace(config.encoder, image_keys=cameras, use_proprio=proprio))
    action_dim = gym.spaces.flatdim(action_space)
    return BCAgent.create(sample, action_dim, config, seed=Seeds(options.seed).integer("agent"), device=device)


def zeros(space: gym.Space[Any]) -> Observations:
    """An observation of zeros."""
    if isinstance(space, gym.spaces.Dict):
        return {name: np.zeros(inner.shape or (), inner.dtype) for name, inner in space.spaces.items()}
    return np.zeros(space.shape or (), np.float32)


def evaluate(agent: BCAgent, held_out: Batch | None) -> dict[str, torch.Tensor]:
    """Mean squared error of the mode and negative log-likelihood, over what was held out."""
    if held_out is None:
        return {}
    total = len(held_out["actions"])
    found: list[dict[str, torch.Tensor]] = []
    for start in range(0, total, _CHUNK):
        chunk = map_leaves(lambda field, start=start: torch.as_tensor(field[start : start + _CHUNK]), held_out)
        found.append(agent.get_debug_metrics(on_device(chunk, agent.device)))
    mse, log_probs = (torch.cat([part[name] for part in found]).mean() for name in ("mse", "log_probs"))
    return {"mse": mse, "nll": -log_probs}


def load_bc_policy(
    directory: Path, checkpoint: Path | None, observation_space: gym.Space[Any], action_space: gym.Space[Any]
) -> tuple[int, SacPolicy]:
    """The policy of a checkpoint of a run, by default of the newest one, and its number of epochs.

    Raises:
        ConfigError: the run's settings cannot be read.
        CheckpointNotFound: there is no checkpoint.
    """
    options = SETTINGS.read(directory)
    epochs, state = load_checkpoint(checkpoint or directory / CHECKPOINTS)
    agent = make_bc_agent(options, observation_space, action_space, torch.device("cpu"))
    agent.load_state_dict(state["agent"])
    return epochs, agent.policy
