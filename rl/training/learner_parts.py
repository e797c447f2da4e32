"""The parts of every learner, beside its loop: agent, buffers, batches, pace."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rl.agents.continuous.sac import SACAgent
from rl.config import TrainConfig
from rl.data.demos import load_demos, summarize_demos
from rl.data.grown_source import GrownSource
from rl.data.journal import Block, TransitionJournal
from rl.data.mixture import MixedBatches, Source
from rl.data.n_step import NStep
from rl.errors import CheckpointNotFound
from rl.link.messages import AgentSpec, build_space
from rl.training.agent_factory import KINDS, AnyReplayBuffer, extra_fields
from rl.training.goals import Batches
from rl.training.replay_loader import ReplayLoader
from rl.training.residual_demos import DemoResiduals
from rl.training.retention import Forget
from rl.training.trainer import LoopIntervals
from rl.training.update_schedule import Schedule
from rl.utils.checkpoint import Checkpoints
from rl.utils.seeds import Seeds
from rl.utils.torch_utils import require_device, why_not_compile

logger = logging.getLogger(__name__)

_COMPILES = {"state": "about 40 s", "images": "up to 4 minutes"}
"""Time of a compilation on two cores, for an agent that sees a vector and for one that sees images."""


@dataclass(frozen=True)
class Memory:
    """The buffers that an agent learns from, and the batches drawn from them."""

    replay: AnyReplayBuffer
    demos: AnyReplayBuffer | None
    interventions: AnyReplayBuffer | None
    """Transitions in which a human acted: they join the demonstrations and drive none of them out."""
    batches: Batches

    def make_loader(
        self,
        config: TrainConfig,
        agent: SACAgent,
        journal: TransitionJournal,
        forget: Forget | None = None,
        listener: Callable[[Block], None] = lambda block: None,
    ) -> ReplayLoader:
        """Return the loader that moves the transitions of a journal into the buffers, and tells `listener` of them.

        With `forget` it deletes those that are overwritten there, unless the configuration keeps all.
        """
        return ReplayLoader(
            journal,
            self.replay,
            config.replay.n_step,
            agent.config.discount,
            interventions=self.interventions,
            extras=extra_fields(self.replay),
            reward_bias=agent.config.reward_bias,
            forget=None if config.replay.keep_all else forget,
            listener=listener,
        )


def make_agent(config: TrainConfig, spec: AgentSpec, seeds: Seeds, device: str | None = None) -> SACAgent:
    """The agent that is trained.

    Raises:
        ConfigError: there is no such device, or such an agent cannot be built.
    """
    require_device(device or config.device)
    return KINDS[config.agent_name].make_agent(config, spec, seeds.integer("agent"), device or config.device)


def make_memory(config: TrainConfig, spec: AgentSpec, agent: SACAgent, seeds: Seeds) -> Memory:
    """Empty buffers of the sizes that the configuration names, with the demonstrations beside them.

    Raises:
        ConfigError: there is no room for them, or a batch is too small for its shares.
        DataError, JournalError: demonstrations or goals cannot be read, or are those of another environment.
    """
    kind = KINDS[config.agent_name]
    replay = kind.make_buffer(config, spec, agent, config.replay.capacity, seeds.integer("replay"))
    demos, interventions = _demonstrations(config, spec, agent, seeds), None
    if demos is not None and config.replay.interventions:
        seed = seeds.integer("interventions")
        interventions = kind.make_buffer(config, spec, agent, config.replay.interventions, seed)
    beside: Source | None = demos
    if demos is not None and interventions is not None:
        beside = GrownSource(demos, interventions, seeds.integer("demos"))
    mixed = MixedBatches(_mixed(config, replay, beside), config.batch_size * config.utd_ratio)
    batches = kind.with_goals(config, spec, mixed, replay, seeds.integer("goals"))
    return Memory(replay, demos, interventions, batches)


def make_schedule(config: TrainConfig) -> Schedule:
    """The pace of a run."""
    return Schedule(config.steps, config.training_starts, config.env_steps_per_update, config.max_lead)


def make_intervals(config: TrainConfig) -> LoopIntervals:
    """When a loop does its side work."""
    return LoopIntervals(
        config.utd_ratio, config.publish_every, config.log_every, config.checkpoint_every, config.link.silence_s
    )


def say_first_update(config: TrainConfig) -> str | None:
    """Return what takes long about the first update, in words; None where nothing does."""
    if not config.compile or why_not_compile():
        return None
    return f"compiling the update, once: {_COMPILES['state' if config.pixel_settings() is None else 'images']}"


def newest_state(checkpoints: Checkpoints) -> dict[str, Any] | None:
    """The state to resume from; None before the first checkpoint."""
    try:
        return checkpoints.load()[1]
    except CheckpointNotFound:
        return None


def fit_inputs(agent: SACAgent, batches: Batches) -> None:
    """Let an agent that standardises its inputs see what they are like, before the first update of a run."""
    if agent.config.standardises_inputs:
        agent.fit_inputs(next(batches)["observations"])


def _mixed(config: TrainConfig, replay: AnyReplayBuffer, demos: Source | None) -> list[tuple[Source, float]]:
    """The replay buffer alone, or with the demonstrations beside it."""
    share = config.replay.demo_share
    return [(replay, 1.0)] if demos is None else [(replay, 1.0 - share), (demos, share)]


def _demonstrations(config: TrainConfig, spec: AgentSpec, agent: SACAgent, seeds: Seeds) -> AnyReplayBuffer | None:
    """A buffer with the demonstrations, all of them; None without any."""
    files = config.replay.demos
    if not files:
        return None
    summaries = [summarize_demos(file) for file in files]
    # An episode has one observation more than transitions, and a buffer of images holds few more images than those.
    capacity = sum(summary.transitions + summary.episodes for summary in summaries)
    demos = KINDS[config.agent_name].make_buffer(config, spec, agent, capacity, seeds.integer("demos"))
    extras = dict.fromkeys(extra_fields(demos), 0.0)
    residuals = DemoResiduals(config, spec) if config.corrects_base else None
    for file in files:
        n_step = NStep(config.replay.n_step, agent.config.discount, agent.config.reward_bias)
        spaces = build_space(spec.observation), build_space(spec.action)
        if residuals is None:
            summary = load_demos(file, demos, *spaces, n_step=n_step, extras=extras)
        else:
            summary = load_demos(
                file, demos, *residuals.spaces, n_step=n_step, extras=extras, convert=residuals.convert
            )
        logger.info("%d demonstrations with %d transitions from %s", summary.episodes, summary.transitions, file)
    if residuals is not None:
        residuals.say_clipped()
    return demos
