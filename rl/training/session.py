"""Session: one run in this process, from its environment to its files, built of the parts that the processes share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from rl.config import TrainConfig, config_facts
from rl.data.journal import TransitionJournal, copy_blocks
from rl.data.schema import EXTRAS
from rl.data.sqlite_file import IN_MEMORY
from rl.errors import ConfigError, RunExists
from rl.link.messages import AgentSpec
from rl.training.actor import EVALUATION_SEED, ActingPlan, EvaluationPlan, run_actor
from rl.training.agent_factory import restore_agent
from rl.training.base_policies import pinned
from rl.training.callbacks import Callback, Callbacks, TrainedAgent, TrainingStart
from rl.training.clone_of_run import CloneOfRun
from rl.training.doctor.live import LiveDoctor
from rl.training.in_process import ACTOR, InProcessLink, TensorBatches
from rl.training.learner_parts import (
    Memory,
    fit_inputs,
    make_agent,
    make_intervals,
    make_memory,
    make_schedule,
    say_first_update,
)
from rl.training.proposal import clone_proposal
from rl.training.replay_loader import ReplayLoader
from rl.training.residual_start import start_at_base
from rl.training.run_files import RunFiles
from rl.training.same_run import require_same_spaces
from rl.training.trainer import Progress, Trainer
from rl.utils.logger import Logger, make_logger
from rl.utils.run_directory import JOURNAL, SPEC, holds_run
from rl.utils.seeds import Seeds
from rl.utils.subprocesses import CurrentStop, StopSignal, interrupt_between_steps
from rl.wrappers.agent_env import AgentEnv, EnvLike


@dataclass(frozen=True)
class StoredRun:
    """A run that was stored, at one of its checkpoints."""

    directory: Path
    updates: int
    state: Mapping[str, Any]
    """State that the checkpoint holds."""


@dataclass(frozen=True)
class _Data:
    """The transitions of a run, and what is learned from them."""

    memory: Memory
    journal: TransitionJournal
    loader: ReplayLoader
    doctor: LiveDoctor


class Session:
    """Trains an agent in an environment, and stores the run.

    Args:
        config: of the run; with `out` its files are written from the beginning.
        env: an environment, or the id of one.
        stored: the run that is continued; None for a new one.

    Raises:
        ConfigError: such an agent cannot be trained there.
        SchemaMismatch: a stored run has other spaces.
        RunExists: `config.out` holds another run, or another process works there.
        CheckpointError: `config.out` cannot be written.
        DataError, JournalError: demonstrations cannot be read, or are those of another environment.
    """

    def __init__(self, config: TrainConfig, env: EnvLike, stored: StoredRun | None = None) -> None:
        self.config = config
        if stored is None:
            self.config = config = pinned(config)
        self._stop = CurrentStop()
        self._clone = CloneOfRun(config, None if stored is None else stored.directory, self._stop)
        try:
            self.env = AgentEnv(env, config.adaptation(), config.cell, self._clone.residual())
        except BaseException:
            self._clone.close()
            raise
        self.progress = Progress(config.steps)
        self._stored = stored
        self._files: RunFiles | None = None
        self._data: _Data | None = None
        self._link: InProcessLink | None = None
        self._user: str | None = None
        self._has_trained = False
        self._is_closed = False
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def _build(self) -> None:
        config, stored = self.config, self._stored
        self._seeds = Seeds(config.seed)
        self._spec = AgentSpec.of(config.env, self.env.adapted, EXTRAS)
        if stored is not None and (spec := stored.directory / SPEC).exists():
            require_same_spaces(self._spec, AgentSpec.model_validate_json(spec.read_bytes()))
        with torch.random.fork_rng(devices=[]):  # torch fills new layers from it, before they get their own values
            self.agent = make_agent(config, self._spec, self._seeds)
        self._directories = set() if stored is None else {stored.directory.resolve()}
        if stored is not None:
            restore_agent(self.agent, stored.state)
            counters = stored.state
            self.progress = Progress(
                config.steps, stored.updates, counters["env_steps"], episodes=counters["episodes"], waiting_for=None
            )
        memory = None
        if stored is None:
            memory = make_memory(self._clone.placed(config), self._spec, self.agent, self._seeds)
            start_at_base(self.agent, config)
            clone_proposal(self.agent, memory.demos, self._seeds)
        if config.out is not None:
            self._files = self._claim(config.out)
        if memory is not None:
            self._data = self._collect(memory)
        if config.compile:
            self.agent.compile()

    @contextmanager
    def used_for(self, purpose: str) -> Iterator[None]:
        """Keep the environment to one purpose at a time.

        Raises:
            ConfigError: it is in use.
        """
        if self._user is not None:
            raise ConfigError(
                f"{purpose} needs the environment, which is in the middle of {self._user}: call it afterwards, or pass "
                "evaluate() an environment of its own"
            )
        self._user = purpose
        try:
            yield
        finally:
            self._user = None

    def train(self, agent: TrainedAgent, steps: int, callbacks: Sequence[Callback], every: int, episodes: int) -> None:
        """Take more steps and learn from them.

        Args:
            agent: what callbacks are told of.
            steps: how many.
            callbacks: told what happens.
            every: steps between two evaluations; 0 for none.
            episodes: of an evaluation.
        """
        self._require_open("train()")
        self._stop.now = stop = StopSignal()
        listeners = Callbacks(callbacks, stop.set)
        with self.used_for("train()"), self._metrics() as metrics:
            self._link = self._make_link(steps, metrics, listeners, stop)
            begin = self.progress.env_steps
            # Another seed for each training: it must not live through the same episodes again.
            own = Seeds(self._seeds.integer(f"{ACTOR} from step {begin}"))
            evaluation = EvaluationPlan(every, episodes, EVALUATION_SEED)
            plan = ActingPlan(self.config.random_steps, evaluation, begin + steps)
            with interrupt_between_steps(stop):
                try:
                    listeners.tell(TrainingStart(agent, begin, steps, every))
                    run_actor(self.env.adapted, self.agent.policy, self._link, plan, own, stop)
                    if self._files is not None:
                        self.save(self._files.directory)
                finally:
                    self._stop.now = None
                    self._link.flush()
                    listeners.end()

    @contextmanager
    def another(self, env: EnvLike) -> Iterator[AgentEnv]:
        """Yield another environment, adapted for this agent.

        Raises:
            ConfigError, SchemaMismatch: it is none, or has other spaces.
        """
        other = AgentEnv(env, self.config.adaptation(), residual=self._clone.residual())
        try:
            require_same_spaces(AgentSpec.of(self.config.env, other.adapted, EXTRAS), self._spec)
            yield other
        finally:
            other.close()

    def save(self, directory: Path) -> Path:
        """Write the run as it is now.

        Raises:
            ConfigError: the session is closed.
            RunExists: the directory holds another run, or another process works there.
            CheckpointError, JournalError: the disk refuses.
        """
        self._require_open("save()")
        if self._files is not None and directory.resolve() == self._files.directory.resolve():
            return self._write(self._files)
        with self._claim(directory) as files:
            return self._write(files)

    def close(self) -> None:
        """Let go of the environment, the transitions and the directory."""
        self._is_closed = True
        self.env.close()
        self._clone.close()
        if self._data is not None:
            self._data.journal.close()
        if self._files is not None:
            self._files.close()

    def _require_open(self, purpose: str) -> None:
        if self._is_closed:
            raise ConfigError(
                f"{purpose} needs an agent that is open, and this one was closed: call it before close(), inside the "
                "`with`, or continue a run that was saved with load()"
            )

    def _write(self, files: RunFiles) -> Path:
        if self._link is not None:
            self._link.flush()
        data = self._collected()
        self._directories.add(files.directory.resolve())
        state = self._trainer(Logger([])).state_dict(data.memory.batches.state_dict())
        return files.save(self.config, data.journal, self.progress.updates, state)

    def _claim(self, directory: Path) -> RunFiles:
        is_own = directory.resolve() in self._directories
        if holds_run(directory) and not is_own:
            raise RunExists(
                f"{directory} already holds a run, which is never overwritten: choose another directory, or continue "
                f"that run with load({str(directory)!r}, out={str(directory)!r})"
            )
        if not is_own:
            self._clone.require_room(directory)
        files = RunFiles(directory, self.config, self._spec, resume=holds_run(directory))
        try:
            self._clone.copy_to(directory)
        except BaseException:
            files.close()
            raise
        return files

    def _collected(self) -> _Data:
        """The transitions so far; those of a stored run are read when they are first needed."""
        if self._data is None:
            config = self._clone.placed(self.config)
            config.require_demo_files(goes_on=True)
            self._data = self._collect(make_memory(config, self._spec, self.agent, self._seeds))
        return self._data

    def _collect(self, memory: Memory) -> _Data:
        journal = TransitionJournal(IN_MEMORY) if self._files is None else self._files.journal
        if self._stored is not None:
            with TransitionJournal(self._stored.directory / JOURNAL, read_only=True) as stored:
                copy_blocks(stored, journal)
        doctor = LiveDoctor(self.config, self.progress)
        loader = memory.make_loader(self.config, self.agent, journal, journal.forget, doctor.note)
        self.progress.env_steps = loader.poll()
        if self._stored is not None:
            memory.batches.load_state_dict(self._stored.state["batches"])
        return _Data(memory, journal, loader, doctor)

    def _metrics(self) -> Logger:
        config = self.config
        if config.out is None:
            return Logger([])
        facts = config_facts(config)
        return make_logger(config.out, tensorboard=config.tensorboard, wandb_project=config.wandb_project, config=facts)

    def _trainer(self, metrics: Logger, first_update: str | None = None) -> Trainer:
        checkpoints = None if self._files is None else self._files.checkpoints
        return Trainer(self.agent, make_intervals(self.config), metrics, checkpoints, self.progress, first_update)

    def _make_link(self, steps: int, metrics: Logger, listeners: Callbacks, stop: StopSignal) -> InProcessLink:
        data = self._collected()
        first_update = None if self._has_trained else say_first_update(self.config)
        self._has_trained = True
        self.config = replace(self.config, steps=self.progress.env_steps + steps)
        self.progress.steps = self.config.steps

        def prepare() -> None:
            if not self.progress.updates:
                fit_inputs(self.agent, data.memory.batches)

        trainer = self._trainer(metrics, first_update)
        metrics.add(data.doctor)
        trainer.gauges.append(data.doctor.figures)
        return InProcessLink(
            trainer,
            data.loader,
            data.journal,
            make_schedule(self.config).continued_at(self.progress.env_steps, self.progress.updates),
            make_intervals(self.config),
            TensorBatches(data.memory.batches, self.agent.device),
            prepare,
            listeners,
            stop,
        )
