"""Replays recorded episodes action by action, and measures the deviation from the recorded observations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from pydantic import TypeAdapter
from rich.console import Console
from rich.table import Table

from rl.common.evaluation import Episode, best_episode
from rl.data.journal import TransitionJournal
from rl.errors import ConfigError, DataError
from rl.evaluation.replay_options import ReplayOptions
from rl.plots.episode_pictures import draw_replay
from rl.plots.kept import drawn_last, require_video, write_video
from rl.utils.progress import show_progress
from rl.utils.tree import Batch, leaves, map_leaves
from rl.wrappers.adapter_config import ONE_FRAME, EnvAdapterConfig
from rl.wrappers.make_env import adapt, open_env
from rl.wrappers.tcp_position import ToolPosition, find_tool_position

_ADAPTATION = TypeAdapter(EnvAdapterConfig)


@dataclass(frozen=True)
class Recorded:
    """One episode of a file."""

    number: int
    transitions: Batch
    origin: Mapping[str, Any]

    def __len__(self) -> int:
        """Number of transitions."""
        return len(self.transitions["rewards"])


@dataclass
class Comparison:
    """An episode and its repetition."""

    number: int
    steps: int
    success: bool | None = None
    total_reward: float = 0.0
    recorded_reward: float = 0.0
    deviation: list[float] = field(default_factory=list)
    """Largest difference of any number of the observation, after the reset and after each step."""
    frames: list[np.ndarray] = field(default_factory=list)
    recorded_path: list[np.ndarray] = field(default_factory=list)
    """Tool positions (3,) in metres, after the reset and after each step; none where the observations do not tell."""
    replayed_path: list[np.ndarray] = field(default_factory=list)

    def compare(self, recorded: Any, seen: Any, tool: ToolPosition | None) -> None:
        """Take in one moment of both: how far they are apart, and where the tool is.

        Raises:
            DataError: they have other fields or shapes.
        """
        self.deviation.append(_difference(seen, recorded))
        if tool is not None:
            self.recorded_path.append(tool.of_one(recorded))
            self.replayed_path.append(tool.of_one(seen))

    @property
    def is_exact(self) -> bool:
        """True when every observation came out to the last bit."""
        return len(self.deviation) == self.steps + 1 and max(self.deviation) == 0.0


def read_episodes(path: Path) -> Iterator[Recorded]:
    """The episodes of a demonstration file, in its order.

    Raises:
        DataError: the file was not written by a recorder of episodes.
    """
    with TransitionJournal(path, read_only=True) as journal:
        for number, block in enumerate(journal.blocks()):
            if not isinstance(block.info, dict) or "seed" not in block.info.get("origin", {}):
                raise DataError(f"{path} does not say from which seed episode {number} started: it cannot be replayed")
            yield Recorded(number, block.transitions, block.info["origin"])


def replay_episode(
    env: gym.Env, recorded: Recorded, *, render: bool = False, tool: ToolPosition | None = None
) -> Comparison:
    """Start where the episode started, and take its actions until it ends.

    Args:
        env: built and adapted as for the recording; the cell may be another one.
        recorded: the episode.
        render: keep a frame of each step.
        tool: where the observations have the tool's position, to keep its paths.

    Raises:
        DataError: the observations have other fields or shapes than the recorded ones.
    """
    rows = recorded.transitions
    result = Comparison(recorded.number, len(recorded), recorded_reward=float(rows["rewards"].sum()))
    observation, _ = env.reset(seed=int(recorded.origin["seed"]))
    result.compare(_row(rows["observations"], 0), observation, tool)
    for step in range(len(recorded)):
        if render:
            frame = env.render()
            assert isinstance(frame, np.ndarray)
            result.frames.append(frame)
        observation, reward, terminated, truncated, info = env.step(rows["actions"][step])
        result.total_reward += float(reward)
        result.success = bool(np.all(info["success"])) if "success" in info else None
        result.compare(_row(rows["next_observations"], step), observation, tool)
        if terminated or truncated:
            break
    return result


def run_replay(options: ReplayOptions, console: Console) -> list[Comparison]:
    """Replay the chosen episodes, and print and draw how each of them compares with its recording.

    Raises:
        ConfigError: no such episode, or no environment is known.
        DataError: the file is not of this environment, or cannot be replayed.
        OSError: a picture or the video could not be made, after everything was printed.
    """
    if options.video is not None:
        require_video(options.video)
    chosen = [one for one in read_episodes(options.file) if not options.episodes or one.number in options.episodes]
    missing = set(options.episodes) - {one.number for one in chosen}
    if missing or not chosen:
        raise ConfigError(f"{options.file} has no episode {', '.join(map(str, sorted(missing))) or 'at all'}")
    origin = chosen[0].origin
    with closing(_open(options, origin)) as raw:
        tool, env = find_tool_position(raw.observation_space), adapt(raw, _adaptation(options, origin))
        with show_progress(console, "replayed", len(chosen)) as show:
            results = []
            for one in chosen:
                results.append(replay_episode(env, one, render=options.video is not None, tool=tool))
                show(len(results), "")
    console.print(_table(results))
    picture = options.file.with_name(f"{options.file.stem}-replay.png")
    paths = [(np.array(one.recorded_path), np.array(one.replayed_path)) for one in results if one.recorded_path]
    title = f"{options.file.name}, {len(results)} episodes replayed"
    with drawn_last(console) as draw:
        draw("picture", picture, lambda: draw_replay([one.deviation for one in results], paths, picture, title))
        if (video := options.video) is not None:
            episodes = [Episode(one.total_reward, one.steps, one.success, frames=one.frames) for one in results]
            draw("video", video, lambda: write_video(best_episode(episodes), video))
    return results


def _open(options: ReplayOptions, origin: Mapping[str, Any]) -> gym.Env:
    env_id = options.env or origin.get("env")
    if env_id is None:
        raise ConfigError(f"{options.file} does not name its environment: give --env")
    return open_env(env_id, options.cell, "rgb_array" if options.video else None)


def _adaptation(options: ReplayOptions, origin: Mapping[str, Any]) -> EnvAdapterConfig:
    known = {item.name for item in fields(EnvAdapterConfig)}
    there = {name: value for name, value in origin.items() if name in known}
    # Recordings of before 0.2 do not say it.
    found = _ADAPTATION.validate_python({"classifier": ONE_FRAME, **there})
    if options.positive_frames is not None:
        found = replace(found, classifier=replace(found.classifier, positive_frames=options.positive_frames))
    if options.reward_classifier is None:
        return found
    return replace(found, reward_classifier=str(options.reward_classifier))


def _row(tree: Any, index: int) -> Any:
    return map_leaves(lambda array: array[index], tree) if isinstance(tree, Mapping) else tree[index]


def _difference(seen: Any, recorded: Any) -> float:
    """Largest absolute difference between two observations."""
    seen_leaves, recorded_leaves = (dict(leaves({"observation": one})) for one in (seen, recorded))
    shapes = [{path: np.shape(one) for path, one in found.items()} for found in (seen_leaves, recorded_leaves)]
    if shapes[0] != shapes[1]:
        raise DataError(f"the environment observes {shapes[0]}, but {shapes[1]} was recorded: not the same environment")
    return max(
        float(np.abs(np.asarray(seen_leaves[path], np.float64) - recorded_leaves[path]).max()) for path in seen_leaves
    )


def _table(results: list[Comparison]) -> Table:
    table = Table(title="recorded and replayed")
    for column in ("episode", "steps", "return then", "return now", "success now", "largest difference"):
        table.add_column(column, justify="right")
    for one in results:
        success = "–" if one.success is None else "yes" if one.success else "no"
        difference = "none, to the last bit" if one.is_exact else f"{max(one.deviation):.3g}"
        steps = f"{len(one.deviation) - 1}/{one.steps}"
        table.add_row(
            str(one.number), steps, f"{one.recorded_reward:.4g}", f"{one.total_reward:.4g}", success, difference
        )
    return table
