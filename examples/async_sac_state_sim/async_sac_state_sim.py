"""SERL's `async_sac_state_sim` with its flags and defaults, on top of `python -m rl`; for people who come from SERL.

Start the learner and the actor in two terminals (`run_learner.sh`, `run_actor.sh`), or both at once with
`python -m rl train --preset serl`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from rl.__main__ import main as run_command


@dataclass(frozen=True)
class Flags:
    """Soft actor-critic on states, actor and learner apart. Not taken over from SERL: render and the two RLDS paths."""

    env: str = "HalfCheetah-v4"
    """Name of the environment."""
    agent: Literal["sac"] = "sac"
    """Name of the agent."""
    exp_name: str = "async_sac_state_sim"
    """Name of the experiment, and of its directory under runs/ when there is no checkpoint_path."""
    max_traj_length: int = 100
    """Steps of an episode; kept for the scripts, because the environment has its own time limit."""
    seed: int = 42
    """Random seed."""
    save_model: bool = False
    """Save checkpoints every checkpoint_period updates too; the last state is always saved."""
    batch_size: int = 256
    """Transitions in one critic update."""
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
    """Steps between two evaluations."""
    eval_n_trajs: int = 5
    """Episodes in an evaluation."""
    learner: bool = False
    """Be the learner."""
    actor: bool = False
    """Be an actor."""
    ip: str = "localhost"
    """Address of the learner."""
    checkpoint_period: int = 0
    """Updates between two checkpoints."""
    checkpoint_path: Path | None = None
    """Directory of the run."""
    debug: bool = False
    """Log no TensorBoard files."""
    resume: bool = False
    """Continue the run in that directory; not in SERL."""


def arguments_of(flags: Flags) -> list[str]:
    """The same wishes in the words of `python -m rl`."""
    env = f"envs:{flags.env}" if flags.env.startswith("Panda") else flags.env
    common = {
        "preset": "serl",
        "env": env,
        "seed": flags.seed,
        "steps": flags.max_steps,
        "batch-size": flags.batch_size,
        "utd-ratio": flags.critic_actor_ratio,
        "random-steps": flags.random_steps,
        "training-starts": flags.training_starts,
        "replay.capacity": flags.replay_buffer_capacity,
        "log-every": flags.log_period,
        "checkpoint-every": flags.checkpoint_period if flags.save_model else 0,
        "evaluation.every-steps": flags.eval_period,
        "evaluation.episodes": flags.eval_n_trajs,
        "evaluation.where": "actor",
        "link.host": flags.ip,
    }
    words = [word for name, value in common.items() for word in (f"--{name}", str(value))]
    if flags.actor:
        return ["actor", *words]
    out = flags.checkpoint_path or Path("runs") / f"{flags.exp_name}-s{flags.seed}"
    words += ["--out", str(out), "--no-tensorboard" if flags.debug else "--tensorboard"]
    return ["learner", *words, *(["--resume"] if flags.resume else [])]


def main(arguments: Sequence[str] | None = None) -> None:
    """Be the learner or an actor."""
    flags = tyro.cli(Flags, args=arguments, use_underscores=True)
    if flags.learner == flags.actor:
        raise SystemExit("say either --learner or --actor; run_learner.sh and run_actor.sh do")
    run_command(arguments_of(flags))


if __name__ == "__main__":
    main()
