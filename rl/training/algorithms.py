"""SAC and DrQ: agents for scripts and notebooks, which train, act, save and load in this process."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self, Unpack

import gymnasium as gym
import numpy as np

from rl.agents.continuous.drq_config import DrqConfig
from rl.agents.continuous.sac import SACAgent
from rl.agents.continuous.sac_config import SacConfig
from rl.common.evaluation import evaluate
from rl.config import TrainConfig, load_config
from rl.errors import ConfigError
from rl.training.callbacks import Callback
from rl.training.run_files import find_run
from rl.training.session import Session, StoredRun
from rl.training.settings import (
    Kind,
    Settings,
    StrPath,
    StrPaths,
    make_config,
    paths_of,
    require_env_first,
    require_kind,
    with_settings,
)
from rl.utils.checkpoint import load_checkpoint
from rl.utils.run_directory import CONFIG
from rl.utils.seeds import Seeds
from rl.wrappers.agent_env import EnvLike, name_of
from rl.wrappers.env_id import require_env_id


class Algorithm:
    """The base of `SAC` and `DrQ`.

    Observations and actions are those of the environment as the user knows it. Inside, it is adapted to the agent,
    which sees float32 vectors, or images and `state`, and chooses actions in [-1, 1].
    """

    kind: ClassVar[Kind]
    _session: Session

    @classmethod
    def load(
        cls,
        path: StrPath,
        env: EnvLike | None = None,
        *,
        out: StrPath | None = None,
        device: str | None = None,
        demos: StrPaths | None = None,
        **settings: Unpack[Settings],
    ) -> Self:
        """Continue a run that was stored by `save`, or by the commands of `robotkit-train`.

        Its transitions are read when `train` or `save` first needs them: an agent that only acts loads at once.

        Args:
            path: directory of a run, whose newest checkpoint is read; or a checkpoint `checkpoints/step_…` in it.
            env: an environment with the spaces of then, or its id; by default it is made by the id of the run.
            out: directory that the run is written to from now on; `path` itself to continue there. By default nothing
                is written before `save`.
            device: where updates are computed; that of then by default.
            demos: files of demonstrations to learn from, as where they lie now; those of then by default.
            settings: those of `Settings` that are to change.

        Raises:
            ConfigError: there is no such run, it is one of another kind of agent, or a setting is wrong.
            CheckpointNotFound: there is no checkpoint.
            CheckpointError: the checkpoint is damaged, or `out` cannot be written.
            SchemaMismatch: the environment has other spaces.
            RunExists: `out` holds another run, or another process works there.
        """
        if settings.get("from_demos"):
            raise ConfigError(
                f"from_demos is what a new run starts from: {cls.__name__}(env, from_demos=…) makes one, and load() "
                "goes on with a run as it began"
            )
        directory, checkpoint = find_run(Path(path))
        stored = load_config(directory / CONFIG)
        require_kind(stored, cls.kind, directory)
        if env is None:
            _require_env(stored.env, f"{cls.__name__}.load({str(path)!r}, env)")
        config = replace(stored, out=None if out is None else Path(out), device=device or stored.device)
        if demos is not None:
            config = replace(config, replay=replace(config.replay, demos=paths_of("demos", demos)))
        config = with_settings(config, settings)
        agent = cls.__new__(cls)
        run = StoredRun(directory, *load_checkpoint(checkpoint))
        agent._session = Session(config, stored.env if env is None else env, run)
        return agent

    def train(
        self, steps: int, *, callbacks: Sequence[Callback] = (), evaluate_every: int = 0, evaluate_episodes: int = 5
    ) -> Self:
        """Take more steps in the environment, and do the updates that they pay for; it can be called again.

        Ctrl+C ends it with `KeyboardInterrupt` after the step or update that is under way; a second one at once. The
        agent can be used, saved and trained on. Each call begins with a new episode.

        Args:
            steps: actions to take, at least 1.
            callbacks: told what happens, and may stop the training; see `Callback`.
            evaluate_every: steps between two evaluations without exploration noise, each at the end of an episode and
                in the same environment, always from the same starts; 0 for none. There is one more at the end.
            evaluate_episodes: episodes of each.

        Returns:
            This agent.

        Raises:
            ConfigError: a number is out of range, this run has no `env_steps_per_update`, or the agent was closed.
            SchemaMismatch: the environment gave something that is not in its spaces, or not finite.
            EnvironmentFailed: the environment cannot go on.
            CheckpointError, JournalError: the directory `out` cannot be written.
        """
        try:
            steps = operator.index(steps)
        except TypeError:
            raise ConfigError(f"steps must be a whole number, such as 10_000, not {steps!r}") from None
        if steps < 1:
            raise ConfigError(f"steps must be at least 1, not {steps}")
        if evaluate_every < 0 or evaluate_episodes < 1:
            raise ConfigError(
                f"evaluate_every must be at least 0 and evaluate_episodes at least 1, not {evaluate_every} and "
                f"{evaluate_episodes}"
            )
        if self.run_config.env_steps_per_update is None:
            raise ConfigError(
                "this run has no env_steps_per_update: its learner ran beside its actor, as fast as it could. In one "
                "process they take turns: pass load(…, env_steps_per_update=…) the steps that are taken for an update"
            )
        self._session.train(self, steps, callbacks, evaluate_every, evaluate_episodes)
        return self

    def predict(self, observation: Any, deterministic: bool = True) -> np.ndarray:
        """The action for an observation, both as the environment has them.

        Args:
            observation: what `env.reset()` or `env.step()` returned. Where that is one array, a batch (N, …) gives
                actions (N, A). With `frame_stack` > 1 pass a sequence of the newest observations, oldest first; at the
                beginning of an episode it may be shorter.
            deterministic: take the policy's mode instead of a draw. With a base policy, it is corrected by that.

        Returns:
            An action (A,) within the bounds of the action space, in its units.

        Raises:
            ConfigError: the agent corrects a base policy that acts in an episode alone, an expert or a served one, or
                that looks at more observations than the agent does.
            SchemaMismatch: the environment has no such observations, or a number is not finite.
        """
        return self._session.env.predict(observation, partial(self.core.sample_actions, argmax=deterministic))

    def evaluate(self, episodes: int = 20, *, seed: int | None = None, env: EnvLike | None = None) -> dict[str, float]:
        """Run episodes without exploration noise, as `robotkit-train evaluate` does.

        Args:
            episodes: how many, at least 1; the environment's own time limit must end them.
            seed: of the first reset; that of the run by default.
            env: another environment with the same spaces, or its id; the agent's own by default.

        Returns:
            `return_mean`, `return_std`, `return_min`, `return_max`, `length_mean` (steps), `episodes`; and
            `success_rate` with its 95 % interval `success_low`, `success_high` where the environment reports success.

        Raises:
            ConfigError: there are no episodes, or the agent's environment is in use by `train`.
            SchemaMismatch: `env` has other spaces.
        """
        seed = Seeds(self.run_config.seed if seed is None else seed).integer("eval")
        act = partial(self.core.sample_actions, argmax=True)
        if env is None:
            with self._session.used_for("evaluate()"):
                return evaluate(act, self.env, episodes, seed)
        with self._session.another(env) as other:
            return evaluate(act, other.adapted, episodes, seed)

    def save(self, path: StrPath | None = None) -> Path:
        """Write configuration, all transitions and a checkpoint: what `load` and the commands continue.

        Saving again to the same directory adds what is new, and keeps the newest `keep_checkpoints` checkpoints.
        `robotkit-train evaluate --out PATH` and `robotkit-train train --out PATH --resume --steps N` read it; they make
        the environment by its id.

        Args:
            path: a directory, made where it is missing; `out` by default.

        Returns:
            The checkpoint.

        Raises:
            ConfigError: neither a path nor `out` was given, or the agent was closed.
            RunExists: the directory holds another run, or another process works there.
            CheckpointError, JournalError: it cannot be written.
        """
        directory = self.run_config.out if path is None else Path(path)
        if directory is None:
            raise ConfigError("save() needs a path: this agent was made without out=")
        return self._session.save(directory)

    def close(self) -> None:
        """Close the environment if it was made from an id, and leave `out` to others; from now on it only predicts."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def env(self) -> gym.Env:
        """The environment as the agent sees it."""
        return self._session.env.adapted

    @property
    def observation_space(self) -> gym.Space[Any]:
        """Space of what `predict` takes."""
        return self._session.env.raw.observation_space

    @property
    def action_space(self) -> gym.Space[Any]:
        """Space of what `predict` gives."""
        return self._session.env.raw.action_space

    @property
    def core(self) -> SACAgent:
        """Networks, optimizers and their updates."""
        return self._session.agent

    @property
    def run_config(self) -> TrainConfig:
        """All settings of the run, as the commands know them."""
        return self._session.config

    @property
    def env_steps(self) -> int:
        """Actions taken since the beginning of the run."""
        return self._session.progress.env_steps

    @property
    def updates(self) -> int:
        """Updates since the beginning of the run."""
        return self._session.progress.updates


class SAC(Algorithm):
    """Soft actor-critic on vectors, with the ensembles of REDQ and RLPD by configuration.

    Example:
        >>> agent = SAC("Pendulum-v1", seed=0)
        >>> agent.train(steps=5_000)
        >>> agent.save("runs/pendulum")
        >>> action = SAC.load("runs/pendulum").predict(observation)

    Args:
        env: an environment, or its Gymnasium id. Observations without images, which are flattened to a vector; actions
            in a bounded, flat Box.
        config: settings of networks and optimizers; by default two critics and steady rates. `SacConfig()` is SERL's,
            with ten critics and warm-up.
        seed: of every draw: equal seeds give equal weights, bit for bit on a CPU, if the environment draws from its own
            generator alone. Global generators are neither used nor changed.
        device: where updates and `predict` are computed: cpu, cuda, cuda:1 …
        demos: files of demonstrations, recorded with the same environment, `frame_stack` and `action_repeat`.
        out: directory that the run is written to while it goes on: metrics, transitions and checkpoints. By default
            nothing is written before `save`, and all transitions are kept in memory until then.
        settings: of the training; `rl.training.settings.Settings` says what each means.

    Raises:
        ConfigError: this agent cannot learn in this environment, or a setting is wrong; nothing was started.
        RunExists: `out` holds a run already.
        DataError, JournalError: demonstrations cannot be read, or are those of another environment.
    """

    kind = "sac"

    def __init__(
        self,
        env: EnvLike,
        config: SacConfig | None = None,
        *,
        seed: int = 0,
        device: str = "cpu",
        demos: StrPaths = (),
        out: StrPath | None = None,
        **settings: Unpack[Settings],
    ) -> None:
        self._session = _new_session(self.kind, env, config, seed, device, demos, out, settings)


class DrQ(Algorithm):
    """Soft actor-critic from images, and from what else an observation holds, with random shifts (DrQ).

    Args:
        env: an environment, or its Gymnasium id. Observations are an image, uint8 (height, width, channels), or a
            (nested) Dict with images; everything else in it becomes one vector. Actions are in a bounded, flat Box.
        config: settings of encoder, networks and optimizers; by default the small encoder `compact` for all cameras,
            and two critics.
        seed: see `SAC`.
        device: see `SAC`.
        demos: see `SAC`; recorded with the same `image_size` and `image_frames` too.
        out: see `SAC`.
        settings: of the training; `rl.training.settings.Settings` says what each means. `capacity` bounds the memory:
            each transition keeps one image of each camera.

    Raises:
        ConfigError: see `SAC`.
        RunExists: see `SAC`.
        DataError, JournalError: see `SAC`.
    """

    kind = "drq"

    def __init__(
        self,
        env: EnvLike,
        config: DrqConfig | None = None,
        *,
        seed: int = 0,
        device: str = "cpu",
        demos: StrPaths = (),
        out: StrPath | None = None,
        **settings: Unpack[Settings],
    ) -> None:
        self._session = _new_session(self.kind, env, config, seed, device, demos, out, settings)


def _new_session(
    kind: Kind,
    env: EnvLike,
    networks: SacConfig | None,
    seed: int,
    device: str,
    demos: StrPaths,
    out: StrPath | None,
    settings: Settings,
) -> Session:
    directory = None if out is None else Path(out)
    require_env_first(kind, env, networks)
    return Session(make_config(kind, networks, name_of(env), seed, device, demos, directory, settings), env)


def _require_env(env_id: str, call: str) -> None:
    try:
        require_env_id(env_id)
    except ConfigError as error:
        raise ConfigError(f"{error}. Where the run was made with an environment object, pass one: {call}") from error
