"""SERL's flags, said in the words of `robotkit-train`; each example adds its own defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, TypeVar

import tyro

from examples.serl_envs import env_id, set_reward_classifiers
from rl.cli import main as run_command
from rl.cli.endings import exit_status
from rl.errors import ConfigError
from rl.utils.run_directory import CHECKPOINTS

Words = list[str]


@dataclass(frozen=True)
class SerlFlags:
    """SERL's flags; whatever else is given goes on to `robotkit-train`. Not there: render and the two RLDS paths."""

    preset: ClassVar[str] = "serl"

    env: str = "HalfCheetah-v4"
    """Name of the environment: SERL's, ours, or `module:Id-v0` of one's own."""
    agent: Literal["sac", "drq"] = "sac"
    """Name of the agent."""
    exp_name: str = "serl"
    """Name of the experiment, and of its directory under runs/ when there is no checkpoint_path."""
    max_traj_length: int = 100
    """Steps of an episode; kept for the scripts, because the environment has its own time limit."""
    seed: int = 42
    """Random seed."""
    save_model: bool = False
    """Kept for the scripts: checkpoint_period says it all."""
    batch_size: int = 256
    """Transitions in one critic update; where there are demonstrations, they are one half of them."""
    critic_actor_ratio: int = 8
    """Critic updates for each actor update."""
    max_steps: int = 1_000_000
    """Environment steps of the training."""
    replay_buffer_capacity: int = 1_000_000
    """Transitions in the replay buffer."""
    random_steps: int = 300
    """First steps, taken at random."""
    training_starts: int = 300
    """Steps before the first update."""
    steps_per_update: int = 30
    """Kept for the scripts: transitions leave as soon as the network takes them."""
    log_period: int = 10
    """Updates between two lines of the log."""
    eval_period: int = 2000
    """Steps between two evaluations in the actor; 0 for none."""
    eval_n_trajs: int = 5
    """Episodes in an evaluation."""
    eval_checkpoint_step: int = 0
    """With --actor: evaluate the checkpoint after so many updates instead of learning."""
    learner: bool = False
    """Be the learner."""
    actor: bool = False
    """Be an actor."""
    ip: str = "localhost"
    """Address of the learner."""
    demo_path: tuple[Path, ...] = ()
    """Demonstrations, from record_demo.sh or `robotkit-train import serl`."""
    checkpoint_period: int = 0
    """Updates between two checkpoints; the last state is always saved."""
    checkpoint_path: Path | None = None
    """Directory of the run."""
    debug: bool = False
    """Log no TensorBoard files."""
    cell: str | None = None
    """Workcell: a name, a .toml file or the URL of a robot server; the MuJoCo cell of the task by default."""
    human: str | None = None
    """The one who may take over: spacemouse, gamepad, keyboard, or in simulation scripted."""
    resume: bool = False
    """Continue the run in that directory; not in SERL."""

    def port(self) -> int | None:
        """Port of the learner; None for the usual one."""
        return None

    def directory(self) -> Path:
        """The directory of the run."""
        return self.checkpoint_path or Path("runs") / f"{self.exp_name}-s{self.seed}"

    def classifiers(self) -> Mapping[int, Path]:
        """Reward classifiers by task."""
        return {}

    def settings(self) -> dict[str, object]:
        """The options of `robotkit-train` that the flags set for learner and actor alike; None leaves the preset's."""
        return {
            "preset": self.preset,
            "env": env_id(self.env),
            "seed": self.seed,
            "steps": self.max_steps,
            "batch-size": self.batch_size,
            "utd-ratio": self.critic_actor_ratio,
            "random-steps": self.random_steps,
            "training-starts": self.training_starts,
            "replay.capacity": self.replay_buffer_capacity,
            "log-every": self.log_period,
            "checkpoint-every": self.checkpoint_period,
            "keep-checkpoints": 100,
            "evaluation.every-steps": self.eval_period,
            "evaluation.episodes": self.eval_n_trajs,
            "evaluation.where": "actor" if self.eval_period else "process",
            "link.host": self.ip,
            "link.port": self.port(),
            "cell": self.cell,
            "human": self.human,
        }


@dataclass(frozen=True)
class DrqFlags(SerlFlags):
    """The flags of the examples that learn from images."""

    preset: ClassVar[str] = "drq"

    env: str = "PandaPickCubeVision-v0"
    """Name of the environment: SERL's, ours, or `module:Id-v0` of one's own."""
    agent: Literal["drq"] = "drq"
    """Name of the agent."""
    critic_actor_ratio: int = 4
    """Critic updates for each actor update."""
    replay_buffer_capacity: int = 200_000
    """Transitions in the replay buffer."""
    steps_per_update: int = 30
    """Updates between two publications of the weights; transitions leave as soon as the network takes them."""
    encoder_type: str = "small"
    """SERL's is resnet-pretrained, whose weights are a file: see encoder_path."""
    encoder_path: Path | None = None
    """Weights of resnet-pretrained, from `robotkit-train convert`; not in SERL, which downloads them."""
    encoder_sha256: str | None = None
    """Checksum of that file, which `convert` prints."""

    def settings(self) -> dict[str, object]:
        """See the base."""
        return super().settings() | {
            "publish-every": self.steps_per_update,
            "agent.encoder.encoder-type": self.encoder_type,
            "agent.encoder.pretrained-path": self.encoder_path,
            "agent.encoder.pretrained-sha256": self.encoder_sha256,
        }


@dataclass(frozen=True)
class RealFlags(DrqFlags):
    """SERL's flags of its examples on a real robot."""

    eval_period: int = 0
    """Steps between two evaluations in the actor. SERL's scripts set it, and its real-robot actors never evaluate."""


Flags = TypeVar("Flags", bound=SerlFlags)


def parse(kind: type[Flags], arguments: Sequence[str] | None = None) -> tuple[Flags, Words]:
    """The flags, and the words that `robotkit-train` shall have besides.

    Raises:
        ConfigError: neither learner nor actor is asked for, or both, or a demonstration is a pickle.
    """
    flags, rest = tyro.cli(kind, args=arguments, use_underscores=True, return_unknown_args=True)
    if flags.learner == flags.actor:
        raise ConfigError("say either --learner or --actor; run_learner.sh and run_actor.sh do")
    pickles = [str(path) for path in flags.demo_path if path.suffix == ".pkl"]
    if pickles:
        raise ConfigError(
            f"{', '.join(pickles)}: turn SERL's pickles into a demonstration file first, with "
            f"`robotkit-train import serl {pickles[0]} --out FILE --env {env_id(flags.env)} --preset {flags.preset}`"
        )
    return flags, rest


def learning(flags: SerlFlags) -> Words:
    """The arguments that the flags set for learner and actor alike."""
    return [word for name, value in flags.settings().items() if value is not None for word in (f"--{name}", str(value))]


def command_of(flags: SerlFlags) -> Words:
    """The flags as a command of `robotkit-train`."""
    out = flags.directory()
    if flags.actor and flags.eval_checkpoint_step:
        return measuring(out, flags.eval_checkpoint_step, flags.eval_n_trajs, flags.cell)
    if flags.actor:
        return ["actor", *learning(flags)]
    demos = ["--replay.demos", *map(str, flags.demo_path)] if flags.demo_path else []
    tensorboard = "--no-tensorboard" if flags.debug else "--tensorboard"
    resume = ["--resume"] if flags.resume else []
    return ["learner", *learning(flags), *demos, "--out", str(out), tensorboard, *resume]


def measuring(out: Path, step: int, episodes: int, cell: str | None) -> Words:
    """The command that measures a checkpoint of a run."""
    where = ["--out", str(out), *([] if cell is None else ["--cell", cell])]
    return ["evaluate", *where, "--checkpoint", str(checkpoint_of(out, step)), "--episodes", str(episodes)]


def checkpoint_of(out: Path, updates: int) -> Path:
    """The checkpoint of a run after so many updates or epochs."""
    return out / CHECKPOINTS / f"step_{updates:012d}"


def end_as_command(program: Callable[[], None]) -> None:
    """Run a program that ends as `robotkit-train` does: an error is one sentence, with the same exit status."""
    if status := exit_status(program):
        raise SystemExit(status)


def run(kind: type[SerlFlags], arguments: Sequence[str] | None = None) -> None:
    """Be the learner or an actor, or evaluate a checkpoint."""
    end_as_command(lambda: _run(kind, arguments))


def _run(kind: type[SerlFlags], arguments: Sequence[str] | None) -> None:
    flags, rest = parse(kind, arguments)
    if flags.classifiers():
        set_reward_classifiers(flags.env, flags.classifiers())
    run_command([*command_of(flags), *rest])
