"""The cloning of a run's demonstrations, before its first step, into the proposal policy of its agent."""

from __future__ import annotations

import logging

import numpy as np
import torch

from rl.agents.continuous.bc import BCAgent
from rl.agents.continuous.sac import SACAgent
from rl.data.prefetch import to_tensors
from rl.errors import ConfigError
from rl.training.agent_factory import AnyReplayBuffer
from rl.utils.option_words import option
from rl.utils.seeds import Seeds
from rl.utils.subprocesses import Stop

logger = logging.getLogger(__name__)


def clone_proposal(agent: SACAgent, demos: AnyReplayBuffer | None, seeds: Seeds, stop: Stop | None = None) -> None:
    """Clone the demonstrations of a new run, if its agent has a proposal policy: a few seconds for the usual sizes.

    Equal demonstrations and seeds give equal policies, and the draws of the buffer are left as they are. When it is
    stopped, nothing is cloned.

    Raises:
        ConfigError: there are no demonstrations.
    """
    if agent.proposal is None:
        return
    if demos is None:
        raise ConfigError(f"a proposal policy is cloned from demonstrations: give {option('replay.demos')}")
    settings, rows = agent.config.proposal, np.arange(len(demos))
    everything = demos.sample(len(rows), indices=rows)
    with torch.random.fork_rng(devices=[]):  # torch fills new layers from it, before they get their own values
        cloner = BCAgent.create(
            everything["observations"][0],
            agent.action_dim,
            settings.cloning(),
            seed=seeds.integer("proposal"),
            device=agent.device,
        )
    cloner.fit_inputs(everything["observations"])
    data = to_tensors({name: everything[name] for name in ("observations", "actions")}, agent.device)
    draws = seeds.generator("batches of the proposal")
    logger.info("cloning %d demonstrated steps, before the first step of the run", len(rows))
    for _ in range(settings.cloning_updates):
        if stop is not None and stop.is_set():
            return
        chosen = torch.from_numpy(draws.integers(len(rows), size=settings.batch_size)).to(agent.device)
        metrics = cloner.update({name: field[chosen] for name, field in data.items()})
    agent.proposal.policy.load_state_dict(cloner.modules["actor"].state_dict())
    logger.info("cloned them: the squared error of an action is %.3g", float(metrics["mse"]))
