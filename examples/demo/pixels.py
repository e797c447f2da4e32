"""`python -m examples.demo.pixels`: the demonstration from images: record, train, evaluate, draw."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import gymnasium as gym
import tyro
from rich.console import Console

from envs.experts.pick_cube import PickCubeStrategy
from envs.experts.tracker import TrackerPickCube
from rl.cli.demonstration.options import DemoOptions
from rl.cli.demonstration.training import end_on_signals, run_training
from rl.config import TrainConfig, load_config
from rl.data.demos import DemoSummary, record_demos
from rl.evaluation.evaluate import run_eval
from rl.plots.learning_curve import draw_curve
from rl.presets import make_preset
from rl.recording.experts import ExpertWrapper
from rl.wrappers.make_env import adapt
from rl.wrappers.raw_view import RawView

PRESET = "drq-demo"
EXPERT_SPEED = 0.5
"""Speed of the expert, as in the demonstration from states."""


@dataclass(frozen=True)
class PixelDemo(DemoOptions):
    """A simulated Franka arm learns to pick up a cube from images, with 20 scripted demonstrations beside them."""


def collect(config: TrainConfig, path: Path, episodes: int, seed: int) -> DemoSummary:
    """Record the expert, which is told where the block is, with the observations that the learner will get."""
    raw = gym.make(config.env)
    expert_env = ExpertWrapper(raw, TrackerPickCube(raw, PickCubeStrategy(speed=EXPERT_SPEED)))
    adaptation = config.adaptation()
    with closing(adapt(expert_env, adaptation)) as env:
        origin = {"env": config.env, **asdict(adaptation)}
        view = RawView(expert_env, env, config.frame_stack)
        return record_demos(path, env, lambda _: view.agent_actions(expert_env.act()), episodes, seed, origin=origin)


def main() -> None:
    """Entry point of `python -m examples.demo.pixels`."""
    demo = tyro.cli(PixelDemo, prog="python -m examples.demo.pixels")
    end_on_signals()
    out = demo.out or Path("runs") / f"{PRESET}-{time.strftime('%Y%m%d-%H%M%S')}-s{demo.seed}"
    out.parent.mkdir(parents=True, exist_ok=True)
    console = Console()
    demonstrations = out.with_name(out.name + "-demonstrations.sqlite")
    summary = collect(make_preset(PRESET), demonstrations, demo.demonstrations, demo.seed)
    console.print(
        f"{summary.episodes} demonstrations, {summary.transitions} transitions, mean return {summary.return_mean:.1f}, "
        f"{demonstrations.stat().st_size / summary.transitions:,.0f} bytes a transition",
        highlight=False,
    )
    options = ("--preset", PRESET, "--replay.demos", str(demonstrations), "--seed", str(demo.seed))
    minutes = run_training(options, out, demo.steps, is_full=demo.full)
    result = run_eval(load_config(out / "config.json"), None, demo.episodes, out / "best_episode.mp4", console)
    draw_curve(out / "metrics.jsonl", out / "learning_curve.png", summary.return_mean)
    console.print(
        f"success {result['success_rate']:.0%} of {demo.episodes} episodes after {minutes:.1f} minutes; see {out}",
        highlight=False,
    )


if __name__ == "__main__":
    main()
