"""Evaluation of a checkpoint: success rate with its confidence interval, a picture, a video of the best episode."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import gymnasium as gym
from rich.console import Console

from rl.agents.continuous.sac_policy import SacPolicy
from rl.common.evaluation import Episode, best_episode, run_episodes, summarize
from rl.config import TrainConfig
from rl.errors import CheckpointNotFound, ConfigError
from rl.link.messages import AgentSpec
from rl.offline.bc import load_bc_policy
from rl.offline.bc_options import TrainBcOptions
from rl.plots.episode_pictures import draw_evaluation
from rl.plots.kept import drawn_last, require_video, write_video
from rl.training.base_policies import find_residual
from rl.training.processes import load_policy
from rl.utils.progress import show_progress
from rl.utils.run_directory import EVALUATION
from rl.utils.seeds import Seeds
from rl.wrappers.make_env import make_env


def run_eval(
    config: TrainConfig | TrainBcOptions, checkpoint: Path | None, episodes: int, video: Path | None, console: Console
) -> dict[str, float]:
    """Run episodes without exploration noise, with a progress bar, and print and draw what came of them.

    Args:
        config: of the run, which may be a behaviour cloning.
        checkpoint: a directory step_… or the one that holds them; None takes the newest of the run.
        episodes: how many.
        video: file for the best episode.
        console: for what is printed.

    Returns:
        The summary that was printed; see `rl.common.evaluation.summarize`.

    Raises:
        ConfigError: no run is named, the video cannot be written, or the environment cannot be rendered; found before
            the first step.
        CheckpointNotFound: there is no run, or no checkpoint in it.
        OSError: a picture or the video could not be made, after everything was printed.
    """
    if video is not None:
        require_video(video)
    if checkpoint is None:
        _require_run(config.out)
    residual = None if isinstance(config, TrainBcOptions) else find_residual(config)
    mode = "rgb_array" if video else None
    env = make_env(config.env, config.cell, config.adaptation(), mode, residual=residual)
    try:
        updates, policy = _load(config, checkpoint, env)
        act = partial(policy.sample_actions, argmax=True)
        seed = Seeds(config.seed).integer("eval")
        with _progress(console, episodes) as on_episode:
            found = run_episodes(act, env, episodes, seed, keep_best_frames=video is not None, on_episode=on_episode)
    finally:
        env.close()
    summary = summarize(found)
    console.print(f"checkpoint after {updates} updates, {episodes} episodes", highlight=False)
    console.print(f"return   {summary['return_mean']:z.2f} ± {summary['return_std']:.2f}", highlight=False)
    if "success_rate" in summary:
        low, high = summary["success_low"], summary["success_high"]
        console.print(
            f"success  {summary['success_rate']:.0%} (95 % between {low:.0%} and {high:.0%})", highlight=False
        )
    if "success_steps" in summary:
        rate_hz = env.metadata.get("render_fps")
        cycle = f" or {config.action_repeat * summary['success_steps'] / rate_hz:.1f} s" if rate_hz else ""
        console.print(f"cycle    {summary['success_steps']:.1f} steps{cycle} until success", highlight=False)
    if "false_successes" in summary:
        false, missed = (round(episodes * summary[name]) for name in ("false_successes", "missed_successes"))
        console.print(f"predictions: {false} false successes and {missed} missed ones", highlight=False)
    with drawn_last(console) as draw:
        if directory := config.out or (checkpoint and checkpoint.parent):
            picture, title = directory / EVALUATION, f"{config.env}, checkpoint after {updates} updates"
            draw("picture", picture, lambda: draw_evaluation(found, picture, title))
        if video is not None:
            shown = best_episode([episode for episode in found if episode.frames] or found)
            draw("video", video, lambda: write_video(shown, video))
    return summary


@contextmanager
def _progress(console: Console, episodes: int) -> Iterator[Callable[[Sequence[Episode]], None]]:
    """The episodes with the mean return and the successes so far."""
    with show_progress(console, "episodes", episodes) as show:

        def on_episode(done: Sequence[Episode]) -> None:
            mean = sum(episode.total_reward for episode in done) / len(done)
            show(len(done), f"return {mean:z.2f}, {sum(bool(episode.success) for episode in done)} successful")

        yield on_episode


def _require_run(directory: Path | None) -> None:
    if directory is None:
        raise ConfigError("say which run is evaluated: give --out its directory, or --checkpoint one in it")
    if not directory.is_dir():
        raise CheckpointNotFound(f"there is no run at {directory}: give --out the directory that a training wrote")


def _load(config: TrainConfig | TrainBcOptions, checkpoint: Path | None, env: gym.Env) -> tuple[int, SacPolicy]:
    """The policy of a run of either kind."""
    if isinstance(config, TrainBcOptions):
        return load_bc_policy(config.out, checkpoint, env.observation_space, env.action_space)
    return load_policy(config, checkpoint, AgentSpec.of(config.env, env))
