"""The configuration of a run: everything that the command line can set, field by field."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from rl.agents.continuous.agent_configs import AGENT_CONFIGS, AgentConfig, agent_name, light_agent_config
from rl.agents.continuous.drq_config import DrqConfig
from rl.agents.continuous.sac_config import SacConfig
from rl.agents.continuous.vice_config import ViceConfig
from rl.errors import ConfigError
from rl.link.link_config import LinkConfig
from rl.utils.option_words import option
from rl.utils.run_directory import CLONE
from rl.utils.stored_config import of_this_version
from rl.wrappers.adapter_config import ClassifierRewardConfig, EnvAdapterConfig, ImagesConfig
from rl.wrappers.residual_config import ResidualConfig, require_residual_agent

_LEAST = dict.fromkeys((
    "action_repeat", "frame_stack", "steps", "actors", "batch_size", "utd_ratio", "training_starts", "publish_every",
    "log_every", "keep_checkpoints", "learner_threads", "replay.capacity", "replay.n_step", "evaluation.episodes",
    "evaluation.keep_videos", "link.capacity",
), 1) | {"replay.interventions": 0, "evaluation.video_episodes": 0}  # fmt: skip
"""The smallest value of settings that count something."""


@dataclass(frozen=True)
class ReplayConfig:
    """The data from which batches are drawn."""

    capacity: int = 1_000_000
    """Transitions that the replay buffer holds; the oldest go first."""
    n_step: int = 1
    """Rewards summed before bootstrapping."""
    demos: tuple[Path, ...] = ()
    """Files of demonstrations."""
    interventions: int = 0
    """Newest transitions of a human's interventions that join the demonstrations, besides staying in the replay buffer;
    0 for none. Needs --replay.demos, so that there is something to mix before the first of them."""
    keep_all: bool = False
    """Keep every transition of the run on disk. By default those that the replay buffer has overwritten are deleted, so
    that a long run needs no more disk and no longer start than a short one; interventions and demonstrations stay."""
    demo_share: float = 0.5
    """Part of every batch that comes from the demonstrations, when there are any. RLPD takes one half."""


@dataclass(frozen=True)
class EvaluationConfig:
    """The settings of evaluations, which run without exploration noise."""

    every_steps: int = 2000
    """Environment steps between two evaluations; 0 turns them off."""
    episodes: int = 5
    """Episodes in an evaluation."""
    where: Literal["process", "actor"] = "process"
    """`process` has an environment of its own and never holds up the data; `actor` uses the actor's own between two
    episodes, because a real robot exists once."""
    cell: str | None = None
    """Workcell of the evaluating process; the actors' when not given."""
    stop_at_success: float | None = None
    """Success rate that ends the training. Two evaluations in a row must reach it, such as 0.95; by default the
    training goes on until --steps."""
    video_episodes: int = 0
    """First episodes of each evaluation that are filmed, into `videos/` of the run; 0 for none."""
    keep_videos: int = 10
    """Newest videos that stay."""


@dataclass(frozen=True)
class TrainConfig:
    """Train a policy with soft actor-critic, an actor and a learner in separate processes.

    Raises:
        ConfigError: two values contradict each other, or one is out of range.
    """

    preset: str = "default"
    """Settings to start from, which `robotkit-train list` shows; other options change single values."""
    env: str = "envs:PandaPickCube-v0"
    """Gymnasium id; `module:Id-v0` imports the module first."""
    cell: str | None = None
    """Workcell: name, .toml file or URL of a robot server; only for environments that take one."""
    human: str | None = None
    """Device or script that may take over from an actor: spacemouse, gamepad, keyboard, or scripted; that is the
    environment's expert, after the policy has had its time. Nobody does in evaluations."""
    base: str | None = None
    """Frozen policy whose actions the agent corrects; a run of `bc` or `train`, or a checkpoint in it, an expert
    `module:function`, or ws://HOST:PORT where a policy is served."""
    from_demos: tuple[Path, ...] = ()
    """Files of demonstrations to clone and correct; cloning takes seconds, from images minutes. The run keeps the clone
    and learns from these demonstrations as from those of --replay.demos. It sets, unless they are given,
    --random-steps 0, --agent.standardises-inputs, --agent.actor-starts-after 1000 and --agent.mode-penalty 3."""
    action_repeat: int = 1
    """Environment steps that one action lasts."""
    reward_classifier: Path | None = None
    """Directory of a reward classifier; its prediction is the only reward and ends the episode, the environment's own
    reward by default. Demonstrations are recorded with the same one."""
    classifier: ClassifierRewardConfig = field(default_factory=ClassifierRewardConfig)
    goals: tuple[Path, ...] = ()
    """Files of frames that show success; `record success` writes them as `positives.sqlite`. They are all that
    `--agent vice` is told of the task."""
    frame_stack: int = 1
    """Newest observations that the agent sees together; two or three show what a single one hides, such as
    accelerations. Demonstrations are recorded with the same number."""
    steps: int = 1_000_000
    """Actions to take in total, by all actors."""
    seed: int = 0
    """Seed of every random draw."""
    out: Path | None = None
    """Directory of the run; by default a new one under runs/."""
    resume: bool = False
    """Continue the run in --out."""
    actors: int = 1
    """Actor processes that `train` starts."""

    batch_size: int = 256
    """Transitions in one critic update."""
    utd_ratio: int = 8
    """Critic updates for each update of policy and temperature; one such round counts as one update."""
    env_steps_per_update: float | None = None
    """Steps that are collected for each update; without it the learner updates as fast as it can."""
    max_lead: int | None = None
    """Steps that actors may be ahead of the updates that are due: they wait for a slow learner, a real robot between
    two episodes alone. Without it they run freely. Needs --env-steps-per-update."""
    random_steps: int = 1000
    """First steps of a run, taken at random."""
    training_starts: int = 1000
    """Steps before the first update."""
    publish_every: int = 1
    """Updates between two publications of the weights, of which there are ten a second at most."""
    log_every: int = 50
    """Updates between two lines of the log."""
    checkpoint_every: int = 1000
    """Updates between two checkpoints; 0 saves only at the end or when the learner is stopped."""
    keep_checkpoints: int = 3
    """Newest checkpoints that stay."""
    tensorboard: bool = False
    """Write metrics for TensorBoard too."""
    wandb_project: str | None = None
    """Project of Weights & Biases to log to."""

    device: str = "cpu"
    """Device of the learner: cpu, cuda, cuda:1 …"""
    compile: bool = True
    """Compile the updates; without a C++ compiler they stay eager."""
    learner_threads: int = 2
    """Threads of the learner's arithmetic; an actor has one."""

    agent: AgentConfig = field(default_factory=SacConfig)
    """Settings of the agent. The command line chooses it by --agent NAME: `sac` learns from vectors, the others from
    images and state: `drq`; `vice`, which learns its reward from --goals; and HIL-SERL's agents for one arm or two,
    `hybrid-single` and `hybrid-dual`, whose grippers have a critic of their own."""
    residual: ResidualConfig = field(default_factory=ResidualConfig)
    images: ImagesConfig = field(default_factory=ImagesConfig)
    replay: ReplayConfig = field(default_factory=ReplayConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    link: LinkConfig = field(default_factory=LinkConfig)

    __pydantic_config__ = ConfigDict(extra="forbid")

    def __post_init__(self) -> None:
        """Refuse what cannot run."""
        for name, least in _LEAST.items():
            if (value := attrgetter(name)(self)) < least:
                raise ConfigError(f"{option(name)} must be at least {least}, not {value}")
        if self.link.silence_s <= 0:
            raise ConfigError(
                f"{option('link.silence_s')} must be positive, not {self.link.silence_s}: else updates always pause"
            )
        pace = self.env_steps_per_update
        if pace is not None and pace <= 0:
            raise ConfigError(f"{option('env_steps_per_update')} must be positive, not {pace}")
        if self.max_lead is not None and (pace is None or self.max_lead < pace):
            raise ConfigError(
                f"{option('max_lead', self.max_lead)} needs {option('env_steps_per_update')}, and must not be smaller: "
                "else the actors wait for an update that waits for them"
            )
        if self.human is not None and self.action_repeat > 1:
            raise ConfigError(
                f"{option('human')} needs {option('action_repeat', 1)}: a person may take over at any step"
            )
        self._require_reachable_goal()
        require_residual_agent(self.base, self.from_demos, self.agent_name, self.agent.proposal.is_on)
        if not 0.0 < self.replay.demo_share < 1.0:
            raise ConfigError(f"{option('replay.demo_share')} must lie between 0 and 1, not {self.replay.demo_share}")

    def _require_reachable_goal(self) -> None:
        goal = self.evaluation.stop_at_success
        if goal is not None and not 0.0 < goal <= 1.0:
            raise ConfigError(
                f"{option('evaluation.stop_at_success')} is a share of episodes above 0, 1 at most, not {goal}"
            )
        if goal is not None and not self.evaluation.every_steps:
            raise ConfigError(
                f"{option('evaluation.stop_at_success')} needs evaluations: give {option('evaluation.every_steps')}"
            )

    @property
    def agent_name(self) -> str:
        """The name that `--agent` takes for this run's agent."""
        return agent_name(self.agent)

    @property
    def corrects_base(self) -> bool:
        """Whether the agent corrects a base policy."""
        return self.base is not None or bool(self.from_demos)

    @property
    def base_source(self) -> str | None:
        """The base policy by its name or place; None without one. The clone of --from-demos lies in the directory."""
        return str(self.directory() / CLONE) if self.from_demos else self.base

    @property
    def evaluates_in_actor(self) -> bool:
        """Whether evaluations take place in the environment of an actor."""
        return bool(self.evaluation.every_steps) and self.evaluation.where == "actor"

    def require_trainable(self) -> None:
        """Raise `ConfigError` when a learner would never begin, or could not go on."""
        self.require_steps()
        self.require_demos()
        self.require_goals()
        self.require_demo_files(goes_on=self.resume)

    def require_demo_files(self, *, goes_on: bool) -> None:
        """Raise `ConfigError` when a file of demonstrations is not where a new run, or one that goes on, has it."""
        if missing := [str(path) for path in self.replay.demos if not path.is_file()]:
            cloned = not goes_on and set(missing) <= set(map(str, self.from_demos))
            raise ConfigError(
                f"{option('from_demos' if cloned else 'replay.demos')} takes files, and these do not exist or are "
                f"directories: {', '.join(missing)}. Record them with `robotkit-train record demos`"
                + (f", or give where they are now by {option('replay.demos')}" if goes_on else "")
            )

    def require_steps(self) -> None:
        """Raise `ConfigError` when the run ends before its first update."""
        first = self.training_starts + math.ceil(self.env_steps_per_update or 1)
        if self.steps < first:
            raise ConfigError(
                f"training would never start: the first update comes after {first} steps "
                f"({option('training_starts', self.training_starts)}, then "
                f"{option('env_steps_per_update', self.env_steps_per_update or 1)}), and the run ends after "
                f"{option('steps', self.steps)}"
            )
        self.require_first_batch()

    def require_first_batch(self) -> None:
        """Raise `ConfigError` when the steps before the first update may not make one stored transition."""
        needed = self.actors * (self.replay.n_step - 1) + 1  # so that one of the actors has taken enough
        if self.training_starts < needed:
            each = "" if self.actors == 1 else f" for each of {option('actors', self.actors)}"
            raise ConfigError(
                f"the first update would find nothing to learn from: "
                f"{option('training_starts', self.training_starts)} must be at least {needed}, because a stored "
                f"transition spans {option('replay.n_step', self.replay.n_step)}{each}"
            )

    def require_demos(self) -> None:
        """Raise `ConfigError` when demonstrations are needed that are not there."""
        if self.replay.demos:
            return
        how = f"record some with `robotkit-train record demos` and give {option('replay.demos')}"
        if self.replay.interventions:
            raise ConfigError(f"{option('replay.interventions')} are mixed with demonstrations from the start: {how}")
        if self.agent.proposal.is_on:
            raise ConfigError(f"{option('agent.proposal')} is a policy that is cloned from demonstrations: {how}")

    def require_goals(self) -> None:
        """Raise `ConfigError` when an agent that learns its reward is shown no success, or another one is."""
        is_vice = isinstance(self.agent, ViceConfig)
        if self.goals and not is_vice:
            raise ConfigError(
                f"{option('goals')} is what {option('agent', 'vice')} learns its reward from: "
                f"{option('agent', self.agent_name)} has no use for it"
            )
        if is_vice and self.replay.n_step > 1:
            raise ConfigError(
                f"{option('agent', 'vice')} classifies one step at a time: {option('replay.n_step')} must be 1, not "
                f"{self.replay.n_step}"
            )
        missing = [str(path) for path in self.goals if not path.is_file()]
        if is_vice and (missing or not self.goals):
            what = f"there is no {', '.join(missing)}" if missing else "no file of them is given"
            raise ConfigError(
                f"{option('agent', 'vice')} learns its reward from frames of success, and {what}: record some with "
                f"`robotkit-train record success` and give {option('goals')} DIRECTORY/positives.sqlite"
            )

    def require_weights(self) -> None:
        """Raise `ConfigError` when a frozen encoder has no weights, see `EncoderConfig.require_weights`."""
        settings = self.pixel_settings()
        if settings is not None:
            settings.encoder.require_weights("agent.encoder")

    def adaptation(self) -> EnvAdapterConfig:
        """The adaptation of the environment to the agent."""
        classifier = None if self.reward_classifier is None else str(self.reward_classifier)
        settings = self.pixel_settings()
        if settings is None:
            return EnvAdapterConfig(
                self.action_repeat, self.frame_stack, reward_classifier=classifier, classifier=self.classifier
            )
        cameras = settings.encoder.image_keys
        return EnvAdapterConfig(
            self.action_repeat, self.frame_stack, True, cameras, self.images, classifier, self.classifier
        )

    def pixel_settings(self) -> DrqConfig | None:
        """The settings of an agent that observes images; None for another."""
        return self.agent if isinstance(self.agent, DrqConfig) else None

    def directory(self) -> Path:
        """The run's directory."""
        if self.out is None:
            raise ConfigError(f"this run has no directory: give {option('out')}")
        return self.out


def light_config(agent: str = "sac") -> TrainConfig:
    """Return a configuration that learns soon in anybody's environment, by what this agent observes.

    A vector is cheap: an update for each step, and room for a million of them. Images are not: an update for every
    second step, smaller batches, and room for 50 000. The settings of the papers are presets.

    Raises:
        ConfigError: no agent has this name.
    """
    config = TrainConfig(
        agent=light_agent_config(agent), utd_ratio=1, env_steps_per_update=1, random_steps=500, training_starts=500
    )
    if config.pixel_settings() is None:
        return config
    return replace(config, batch_size=128, env_steps_per_update=2, replay=ReplayConfig(capacity=50_000))


@cache
def _adapter() -> TypeAdapter[TrainConfig]:
    return TypeAdapter(TrainConfig)


_NOT_STORED: Any = {"link": {"token"}, "resume": True}


def save_config(config: TrainConfig, path: Path) -> None:
    """Write a configuration as JSON; the token stays out of it."""
    text = _adapter().dump_json(config, indent=2, exclude=_NOT_STORED)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text + b"\n")


def config_facts(config: TrainConfig) -> dict[str, Any]:
    """Return what `save_config` writes, as plain values."""
    facts: dict[str, Any] = _adapter().dump_python(config, mode="json", exclude=_NOT_STORED)
    return facts


def load_config(path: Path) -> TrainConfig:
    """Read what `save_config` wrote, in this version or an earlier one.

    Raises:
        ConfigError: there is no such file, or it is no configuration.
    """
    try:
        stored = json.loads(path.read_bytes())
        found = of_this_version(stored, AGENT_CONFIGS) if isinstance(stored, dict) else stored
        return _adapter().validate_json(json.dumps(found))
    except OSError as error:
        raise ConfigError(f"the configuration {path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise ConfigError(f"{path} is no configuration of this version: {place}: {first['msg']}") from error
    except ValueError as error:
        raise ConfigError(f"{path} is no configuration: it is not JSON: {error}") from error
