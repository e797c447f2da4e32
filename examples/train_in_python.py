"""Train, save, load and evaluate an agent in one process: `python -m examples.train_in_python --steps 5000`.

Any Gymnasium environment with bounded, continuous actions will do; one whose observations hold images needs `rl.DrQ`
instead of `rl.SAC`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import gymnasium as gym
import tyro

from rl import SAC, History, ProgressBar, StopOnEvaluation


@dataclass(frozen=True)
class TrainInPython:
    """Train with soft actor-critic, stop when it is good enough, and evaluate what was saved."""

    out: Path
    """Directory that the run is saved in; it must not hold a run yet."""
    env: str = "Pendulum-v1"
    """Gymnasium id."""
    steps: int = 5_000
    """Environment steps at most."""
    good_return: float = -200.0
    """Mean return of two evaluations in a row at which the training stops."""
    seed: int = 0
    """Seed of every draw."""


def train(options: TrainInPython) -> dict[str, float]:
    """Train and save; evaluate the saved agent."""
    history = History()
    good_enough = StopOnEvaluation(options.good_return, metric="return_mean", in_a_row=2)
    with SAC(options.env, seed=options.seed) as agent:
        try:
            agent.train(options.steps, callbacks=[ProgressBar(), history, good_enough], evaluate_every=1_000)
        except KeyboardInterrupt:
            print("stopped: what was learned so far is saved")
        checkpoint = agent.save(options.out)
    for evaluation in history.evaluations:
        print(f"after {evaluation.env_steps} steps: mean return {evaluation.values['return_mean']:.1f}")
    print(f"saved as {checkpoint}")

    env = gym.make(options.env)
    saved = SAC.load(options.out, env)
    observation, _ = env.reset(seed=options.seed)
    print(f"first action: {saved.predict(observation)}")
    summary = saved.evaluate(episodes=10)
    print(f"over 10 fresh episodes: mean return {summary['return_mean']:.1f} ± {summary['return_std']:.1f}")
    env.close()
    return summary


if __name__ == "__main__":
    train(tyro.cli(TrainInPython, prog="python -m examples.train_in_python"))
