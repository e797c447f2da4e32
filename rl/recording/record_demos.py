"""Recording demonstrations: `robotkit-train record demos`."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict

from rich.console import Console

from rl.data.demos import DemoSummary, record_demos
from rl.plots.episode_pictures import draw_demos
from rl.recording.experts import Expert, ExpertWrapper, ZeroAction, load_factory
from rl.recording.options import RecordDemosOptions
from rl.utils.progress import show_progress
from rl.wrappers.make_env import adapt, open_env
from rl.wrappers.raw_view import RawView
from rl.wrappers.tcp_position import find_tool_position


def run_record_demos(options: RecordDemosOptions, console: Console) -> DemoSummary:
    """Record, with a progress bar, say what came of it, and draw it.

    Raises:
        ConfigError: environment, expert or device are not there.
        DataError: the file exists already, or there were too many failures.
    """
    options.out.parent.mkdir(parents=True, exist_ok=True)
    raw = open_env(options.env, options.cell, human=options.human)
    expert: Expert = ZeroAction(raw) if options.expert is None else load_factory(options.expert)(raw)
    expert_env = ExpertWrapper(raw, expert)
    adaptation = options.adaptation()
    origin = {"env": options.env, **asdict(adaptation)}
    with (
        closing(adapt(expert_env, adaptation)) as env,
        show_progress(console, "demonstrations", options.episodes) as show,
    ):
        view = RawView(expert_env, env, options.frame_stack)
        summary = record_demos(
            options.out,
            env,
            lambda _: view.agent_actions(expert_env.act()),
            options.episodes,
            options.seed,
            attempts_per_episode=options.attempts,
            origin=origin,
            resume=options.resume,
            on_attempt=lambda kept, attempts: show(kept, f"{attempts} attempts"),
        )
    console.print(
        f"{options.out}: {summary.episodes} episodes, {summary.transitions} transitions, "
        f"mean return {summary.return_mean:.4g}",
        highlight=False,
        soft_wrap=True,
    )
    picture = options.out.with_suffix(".png")
    draw_demos(options.out, picture, find_tool_position(raw.observation_space))
    console.print(f"{picture}: its returns, lengths, actions and paths", highlight=False, soft_wrap=True)
    return summary
