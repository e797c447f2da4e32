"""`make demo`: from nothing to a robot that picks up a cube, in minutes on a laptop."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console

from examples.demo.curve import draw_curve, last_step
from examples.demo.demonstrations import collect
from examples.demo.robot_server import RobotServer
from examples.demo.training import end_on_signals, run_training
from rl.config import load_config
from rl.evaluation.evaluate import run_eval
from rl.presets import make_preset
from rl.utils.run_directory import METRICS

ENV = "envs:PandaPickCube-v0"
CELL = "mujoco-pick-cube"
EXPERT_SPEED = 0.5
"""A calmer expert is easier to learn from than the fastest one, at nearly the same return."""


@dataclass(frozen=True)
class Demo:
    """A simulated Franka arm learns to pick up a cube from scripted demonstrations and its own experience."""

    out: Path | None = None
    """Directory of the run; a new one under runs/ by default."""
    seed: int = 0
    """Seed of every random draw."""
    steps: int | None = None
    """Environment steps at most; the demo preset's number by default."""
    full: bool = False
    """Take all steps, instead of ending when 95 % of two evaluations in a row were successful."""
    demonstrations: int = 20
    """Scripted episodes to record."""
    episodes: int = 20
    """Episodes of the final evaluation."""


def run(demo: Demo, out: Path, console: Console) -> None:
    """Robot server, demonstrations, training, evaluation, pictures."""
    console.rule("[bold]1  a robot server (MuJoCo, lock-step)")
    with RobotServer(CELL, out.with_name(out.name + "-robot.log")) as server:
        console.print(f"at {server.url}, which is also the operator's page", highlight=False)
        console.rule(f"[bold]2  {demo.demonstrations} scripted demonstrations")
        demonstrations = out.with_name(out.name + "-demonstrations.sqlite")
        summary = collect(
            ENV,
            server.url,
            demonstrations,
            demo.demonstrations,
            demo.seed,
            make_preset("demo").adaptation(),
            EXPERT_SPEED,
        )
        console.print(
            f"{summary.episodes} episodes, {summary.transitions} transitions, mean return {summary.return_mean:.1f}",
            highlight=False,
        )
        console.rule("[bold]3  training: actor, learner and evaluator in processes of their own")
        cells = ("--cell", server.url, "--evaluation.cell", CELL)
        options = ("--preset", "demo", "--env", ENV, *cells, "--replay.demos", str(demonstrations))
        minutes = run_training((*options, "--seed", str(demo.seed)), out, demo.steps, is_full=demo.full)
        console.rule("[bold]4  evaluation through the robot server")
        config = load_config(out / "config.json")
        video = out / "best_episode.mp4"
        result = run_eval(config, None, demo.episodes, video, console)
    picture = out / "learning_curve.png"
    draw_curve(out / METRICS, picture, summary.return_mean)
    console.rule("[bold]done")
    console.print(
        f"success     {result['success_rate']:.0%} of {demo.episodes} episodes\n"
        f"experience  {last_step(out / METRICS):,} environment steps\n"
        f"training    {minutes:.1f} minutes\n"
        f"curve       {picture}\nvideo       {video}\ncheckpoint  {out / 'checkpoints'}",
        highlight=False,
    )


def main() -> None:
    """Entry point of `python -m examples.demo`."""
    demo = tyro.cli(Demo, prog="make demo")
    end_on_signals()
    out = demo.out or Path("runs") / f"demo-{time.strftime('%Y%m%d-%H%M%S')}-s{demo.seed}"
    out.parent.mkdir(parents=True, exist_ok=True)
    run(demo, out, Console())


if __name__ == "__main__":
    main()
