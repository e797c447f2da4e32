"""The processes of a run: each builds its objects from the configuration, and runs its loop."""

from __future__ import annotations

import logging
import uuid
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Literal

import gymnasium as gym
import torch
from rich.console import Console

from rl.agents.continuous.distributed_agent import DistributedAgent
from rl.agents.continuous.sac_policy import SacPolicy
from rl.common.evaluation import require_unassisted
from rl.config import TrainConfig, config_facts
from rl.data.journal import TransitionJournal
from rl.data.prefetch import Prefetch
from rl.data.schema import EXTRAS, TransitionSchema
from rl.errors import ConfigError
from rl.link.address import learner_url
from rl.link.client import LearnerLink
from rl.link.frames import largest_chunk
from rl.link.hub import LearnerHub
from rl.link.messages import AgentSpec, Handshake, build_space
from rl.link.server import LinkServer, bind
from rl.link.state import ClientSettings
from rl.training.actor import EVALUATION_SEED, ActingPlan, EvaluationPlan, run_actor, run_evaluator
from rl.training.agent_factory import KINDS, restore_agent
from rl.training.base_policies import find_residual
from rl.training.demo_clone import provide_clone
from rl.training.distributed_worker import WorkerSetup, run_worker
from rl.training.doctor.live import LiveDoctor
from rl.training.evaluation_videos import EvaluationVideos, film_mode
from rl.training.learned import SuccessGoal
from rl.training.learner import LearnerLoop
from rl.training.learner_parts import (
    fit_inputs,
    make_agent,
    make_intervals,
    make_memory,
    make_schedule,
    newest_state,
    say_first_update,
)
from rl.training.proposal import clone_proposal
from rl.training.residual_start import start_at_base
from rl.training.same_run import require_same_spaces, stored_config, take_run
from rl.training.trainer import Progress, Trainer
from rl.utils.checkpoint import Checkpoints, load_checkpoint
from rl.utils.command_channel import CommandChannel
from rl.utils.distributed import joined_process_group, local_device
from rl.utils.logger import make_logger
from rl.utils.performance import tune_backends
from rl.utils.rng_state import set_rng_state
from rl.utils.run_directory import CHECKPOINTS, JOURNAL, LEARNER_URL, SPEC, hold_run
from rl.utils.seeds import Seeds
from rl.utils.subprocesses import Stop
from rl.wrappers.make_env import make_env

logger = logging.getLogger(__name__)

DEFAULT_PORT = 5488
_DRAIN_TIMEOUT_S = 1800.0  # an evaluation on a robot: twenty episodes of half a minute, and their resets


def run_learner_process(config: TrainConfig, stop: Stop) -> None:
    """Run one process of the learner, of which torchrun may start several.

    The main process does all the work of a single one; the workers compute their shards of each update.

    Raises:
        ConfigError: the batch does not divide among the processes, or a process has no device of its own.
        RunExists, CheckpointNotFound: the directory holds a run, or one that is still going on, or none to resume.
        ProcessGroupError: another process is gone.
    """
    device = local_device(config.device)
    torch.set_num_threads(config.learner_threads)
    tune_backends(device)
    with joined_process_group(device) as group, CommandChannel(group) if group.size > 1 else nullcontext() as channel:
        group.shard_size(config.batch_size)
        if group.size > 1 and config.agent_name == "vice":
            raise ConfigError("--agent vice trains in one process: start the learner without torchrun")
        if channel is not None and not group.is_main:
            run_worker(channel, device)
            return
        bind(config.link.host, _port(config)).close()  # whoever has it keeps no corrected command from this directory
        take_run(config)
        with hold_run(config.directory(), stop=stop), stored_config(config):
            if provide_clone(config, stop, Console()):
                run_main(replace(config, device=str(device)), stop, channel)


def run_main(config: TrainConfig, stop: Stop, channel: CommandChannel | None) -> None:
    """Run the main process of a learner: serve the actors, and train on their transitions."""
    seeds = Seeds(config.seed)
    seeds.seed_globals()
    out = config.directory()
    with TransitionJournal(out / JOURNAL) as journal:
        hub = LearnerHub(journal, config.env, _stored_spec(out / SPEC))
        progress = Progress(config.steps)
        hub.progress = progress
        with LinkServer(hub, config.link.host, _port(config), config.link.secret()) as server:
            logger.info("waiting for actors at %s", learner_url("http", config.link.host, server.port))
            (out / LEARNER_URL).write_text(learner_url("http", config.link.host, server.port) + "\n")
            spec = _agreed_spec(hub, out / SPEC, stop)
            if spec is not None:
                learn(config, seeds, hub, spec, progress, stop, channel)


def learn(
    config: TrainConfig,
    seeds: Seeds,
    hub: LearnerHub,
    spec: AgentSpec,
    progress: Progress,
    stop: Stop,
    channel: CommandChannel | None = None,
) -> None:
    """Build the learner's objects, from the newest checkpoint if there is one, and train to the end.

    With `channel`, the workers at its other ends compute their shards of each update.
    """
    out = config.directory()
    agent = make_agent(config, spec, seeds)
    checkpoints = Checkpoints(out / CHECKPOINTS, keep=config.keep_checkpoints)
    state = newest_state(checkpoints)
    if state is not None:
        restore_agent(agent, state)
        progress.updates, progress.episodes = state["updates"], state["episodes"]
    memory = make_memory(config, spec, agent, seeds)
    if state is None:
        start_at_base(agent, config)
        clone_proposal(agent, memory.demos, seeds, stop)
        if stop.is_set():
            return
    if config.compile:
        agent.compile()
    metrics = make_logger(
        out, tensorboard=config.tensorboard, wandb_project=config.wandb_project, config=config_facts(config)
    )
    with metrics, TransitionJournal(out / JOURNAL, read_only=True) as journal:
        doctor = LiveDoctor(config, progress)
        metrics.add(doctor)
        loader = memory.make_loader(config, agent, journal, hub.forget, doctor.note)
        trained = (
            agent
            if channel is None
            else DistributedAgent(agent, channel, WorkerSetup(config=config, spec=spec).to_json())
        )
        intervals = make_intervals(config)
        trainer = Trainer(trained, intervals, metrics, checkpoints, progress, say_first_update(config))
        trainer.gauges.append(doctor.figures)
        goal = SuccessGoal(config.evaluation.stop_at_success, out)
        loop = LearnerLoop(trainer, loader, hub, make_schedule(config), intervals, goal)
        loop.gather(stop)
        if stop.is_set():
            return
        if state is not None:
            memory.batches.load_state_dict(state["batches"])
            set_rng_state(state["rng"])
            logger.info("resumed after %d updates with %d transitions", progress.updates, loader.env_steps)
        if not progress.updates:
            fit_inputs(agent, memory.batches)
        with Prefetch(memory.batches, device=config.device) as prefetched:
            loop.run(prefetched, stop)
            if not stop.is_set():
                loop.finish(prefetched, _DRAIN_TIMEOUT_S, stop)


def run_actor_process(config: TrainConfig, name: str, stop: Stop) -> None:
    """Run an actor's process."""
    torch.set_num_threads(1)
    residual = find_residual(config, stop)
    in_actor = config.evaluates_in_actor and name.endswith("-0")
    mode = film_mode(config) if in_actor else None
    env = make_env(config.env, config.cell, config.adaptation(), mode, human=config.human, residual=residual)
    spec = AgentSpec.of(config.env, env, EXTRAS)
    seeds = Seeds(config.seed)
    if in_actor and config.human is not None:
        require_unassisted(env, config.human)
    evaluation = _evaluation_plan(config, env) if in_actor else EvaluationPlan(0, 1, 0)
    plan = ActingPlan(config.random_steps, evaluation, config.steps)
    with closing(env), make_link(config, spec, make_handshake(name, spec, "actor"), stop) as link:
        # A restarted actor must not live through the same episodes again, so the steps so far are part of its seed.
        own = Seeds(seeds.integer(f"{name} from step {link.handshake_reply.env_steps}"))
        policy = KINDS[config.agent_name].make_policy(config, spec, own.integer("policy"))
        run_actor(env, policy, link, plan, own, stop)
        if link.dropped:
            logger.warning("%d transitions were dropped: the learner was away or too slow for too long", link.dropped)


def run_evaluator_process(config: TrainConfig, stop: Stop) -> None:
    """Run the evaluator's process: it evaluates the weights of a running learner until the training ends."""
    torch.set_num_threads(1)
    cell = config.evaluation.cell or config.cell
    env = make_env(config.env, cell, config.adaptation(), film_mode(config), residual=find_residual(config, stop))
    spec = AgentSpec.of(config.env, env, EXTRAS)
    policy = KINDS[config.agent_name].make_policy(config, spec, config.seed)
    with closing(env), make_link(config, spec, make_handshake("evaluator", spec, "evaluator"), stop) as link:
        run_evaluator(env, policy, link, _evaluation_plan(config, env), stop)


def load_policy(config: TrainConfig, checkpoint: Path | None, spec: AgentSpec) -> tuple[int, SacPolicy]:
    """The policy of a checkpoint of this run, by default of the newest one, and its number of updates.

    Raises:
        CheckpointNotFound: there is none.
        CheckpointError, SchemaMismatch: it is that of another agent, or of one for other spaces.
    """
    updates, state = load_checkpoint(checkpoint or config.directory() / CHECKPOINTS)
    if config.out is not None and (trained_in := _stored_spec(config.out / SPEC)) is not None:
        require_same_spaces(spec, trained_in)
    agent = make_agent(config, spec, Seeds(config.seed), device="cpu")
    restore_agent(agent, state)
    return updates, agent.policy


def _stored_spec(path: Path) -> AgentSpec | None:
    return AgentSpec.model_validate_json(path.read_bytes()) if path.exists() else None


def _agreed_spec(hub: LearnerHub, path: Path, stop: Stop) -> AgentSpec | None:
    """The spec of this run, from its first actor; None when somebody stopped the learner before one came."""
    spec = None
    while spec is None and not stop.is_set():
        spec = hub.wait_for_spec(0.2)
    if spec is not None and not path.exists():
        draft = path.with_suffix(".draft")
        draft.write_text(spec.model_dump_json(indent=2) + "\n")
        draft.replace(path)
    return spec


def _evaluation_plan(config: TrainConfig, env: gym.Env) -> EvaluationPlan:
    evaluation = config.evaluation
    return EvaluationPlan(
        evaluation.every_steps, evaluation.episodes, EVALUATION_SEED, EvaluationVideos.of(config, env)
    )


def _port(config: TrainConfig) -> int:
    return DEFAULT_PORT if config.link.port is None else config.link.port


def make_handshake(name: str, spec: AgentSpec, role: Literal["actor", "evaluator"]) -> Handshake:
    """The first message of this process to the learner; a new one for each start."""
    return Handshake(actor=name, attempt=uuid.uuid4().hex, role=role, spec=spec)


def make_link(config: TrainConfig, spec: AgentSpec, handshake: Handshake, stop: Stop | None = None) -> LearnerLink:
    """The actor's end of the link that the configuration describes; `stop` ends the wait for the learner."""
    schema = TransitionSchema.from_spaces(build_space(spec.observation), build_space(spec.action))
    settings = ClientSettings(
        url=learner_url("ws", config.link.host, _port(config)) + "/v1/link",
        token=config.link.secret(),
        capacity=config.link.capacity,
        max_chunk=largest_chunk(schema),
        overflow=config.link.overflow,
        give_up_s=config.link.give_up_s,
    )
    return LearnerLink(settings, handshake, config.link.connect_timeout_s, stop)
