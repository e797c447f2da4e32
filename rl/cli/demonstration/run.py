"""Steps from nothing to a robot that picks up a cube: robot server, demonstrations, training, evaluation, pictures."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console

from rl.cli.demonstration.options import DemoOptions
from rl.cli.demonstration.robot_server import RobotServer
from rl.cli.demonstration.training import end_on_signals, run_training
from rl.config import load_config
from rl.errors import RunExists
from rl.evaluation.evaluate import run_eval
from rl.plots.learning_curve import draw_curve, last_step
from rl.presets import make_preset
from rl.recording.options import RecordDemosOptions
from rl.recording.record_demos import run_record_demos
from rl.utils.run_directory import METRICS, holds_run

ENV = "envs:PandaPickCube-v0"
CELL = "mujoco-pick-cube"
EXPERT = "envs.experts.tracker:pick_cube"
"""Expert of the demonstration, at half speed: a calmer expert is easier to learn from than the fastest one, at nearly
the same return."""
PRESET = "demo"


def run_demo(demo: DemoOptions, console: Console) -> None:
    """Run the demonstration, and print what came of it.

    Raises:
        RunExists: the directory holds a run already.
    """
    end_on_signals()
    out = demo.out or Path("runs") / f"{PRESET}-{time.strftime('%Y%m%d-%H%M%S')}-s{demo.seed}"
    if holds_run(out):
        raise RunExists(f"{out} holds a run already: choose another --out")
    out.parent.mkdir(parents=True, exist_ok=True)
    console.rule("[bold]1  a robot server (MuJoCo, lock-step)")
    with RobotServer(CELL, out.with_name(out.name + "-robot.log")) as server:
        console.print(f"at {server.url}, which is also the operator's page", highlight=False)
        console.rule(f"[bold]2  {demo.demonstrations} scripted demonstrations")
        demonstrations = out.with_name(out.name + "-demonstrations.sqlite")
        recording = RecordDemosOptions(
            ENV, demonstrations, server.url, expert=EXPERT, episodes=demo.demonstrations, seed=demo.seed,
            frame_stack=make_preset(PRESET).frame_stack,
        )  # fmt: skip
        summary = run_record_demos(recording, console)
        console.rule("[bold]3  training: actor, learner and evaluator in processes of their own")
        cells = ("--cell", server.url, "--evaluation.cell", CELL)
        options = ("--preset", PRESET, "--env", ENV, *cells, "--from-demos", str(demonstrations))
        minutes = run_training((*options, "--seed", str(demo.seed)), out, demo.steps, is_full=demo.full)
        console.rule("[bold]4  evaluation through the robot server")
        video = out / "best_episode.mp4"
        result = run_eval(load_config(out / "config.json"), None, demo.episodes, video, console)
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
