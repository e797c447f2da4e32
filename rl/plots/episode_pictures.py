"""Pictures of recorded, evaluated and replayed episodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rl.common.evaluation import Episode, summarize
from rl.data.demos import episode_info
from rl.data.journal import Block, TransitionJournal
from rl.plots.pictures import side_by_side
from rl.utils.tree import Batch, leaves

_COLORS = {True: "tab:blue", False: "tab:red", None: "tab:gray"}
_WORDS = {True: "success", False: "no success", None: "success unknown"}
_SHOWN = 8  # episodes whose first and last images are shown
_BINS = 41

View: TypeAlias = tuple[np.ndarray, str]
"""An image and its caption."""


class ToolPosition(Protocol):
    """Where the observations have the tool's position."""

    def of(self, observations: Any) -> np.ndarray:
        """Positions (N, 3) in metres."""
        ...


@dataclass
class _Digest:
    """The data that are drawn of a demonstration file, gathered episode by episode."""

    returns: list[float] = field(default_factory=list)
    successes: list[bool] = field(default_factory=list)
    actions: list[np.ndarray] = field(default_factory=list)
    """(length, A) of each episode."""
    paths: list[np.ndarray] = field(default_factory=list)
    views: list[View] = field(default_factory=list)
    """First and last images of every n-th episode; n doubles when there are too many."""
    views_every: int = 1

    def add(self, block: Block, tool: ToolPosition | None) -> None:
        """Take an episode in."""
        rows, info, number = block.transitions, episode_info(block), len(self.returns)
        self.returns.append(info["return"])
        self.successes.append(bool(info["success"]))
        self.actions.append(rows["actions"].reshape(len(rows["actions"]), -1))
        if tool is not None:
            self.paths.append(tool.of(rows["observations"]))
        if number % self.views_every == 0:
            self.views += _first_and_last(rows, number)
        if len(self.views) == 4 * _SHOWN:
            self.views = [view for index, view in enumerate(self.views) if index % 4 < 2]
            self.views_every *= 2


def draw_demos(file: Path, picture: Path, tool: ToolPosition | None = None) -> None:
    """Draw what a demonstration file holds: returns, lengths, actions, the tool's paths, first and last images.

    Args:
        file: the demonstrations, one or more.
        picture: PNG to write.
        tool: where the observations have the tool's position; without it there are no paths.
    """
    digest = _Digest()
    with TransitionJournal(file, read_only=True) as journal:
        for block in journal.blocks():
            digest.add(block, tool)
    views = digest.views[: 2 * _SHOWN]
    figure, top, bottom = _sheet(5 if tool else 3, len(views))
    _bars(top[0], digest.returns, digest.successes, "return")
    _bars(top[1], [len(actions) for actions in digest.actions], digest.successes, "steps")
    _action_shares(top[2], np.concatenate(digest.actions))
    if tool is not None:
        _paths(top[3], top[4], digest.paths, digest.successes)
    for axes, (image, caption) in zip(bottom, views, strict=True):
        axes.imshow(image)
        axes.set_title(caption, fontsize=7)
    words = f"{file.name}: {len(digest.returns)} episodes, {sum(digest.successes)} successful"
    _save(figure, picture, words)


def draw_evaluation(episodes: Sequence[Episode], picture: Path, title: str) -> None:
    """Draw each episode's return and length, and the success rate with its 95 % interval where it is known."""
    summary = summarize(episodes)
    successes = [episode.success for episode in episodes]
    figure, top, _ = _sheet(3 if "success_rate" in summary else 2, 0)
    _bars(top[0], [episode.total_reward for episode in episodes], successes, "return")
    top[0].axhline(summary["return_mean"], color="black", linewidth=0.8, linestyle="--")
    _bars(top[1], [episode.length for episode in episodes], successes, "steps")
    if "success_rate" in summary:
        rate, low, high = (100 * summary[name] for name in ("success_rate", "success_low", "success_high"))
        # At 0 and 100 % the interval ends there, up to rounding.
        whiskers = [[max(0.0, rate - low)], [max(0.0, high - rate)]]
        top[2].errorbar([0], [rate], whiskers, fmt="o", capsize=6, color=_COLORS[True])
        top[2].set(ylim=(-3, 103), xlim=(-1, 1), xticks=(), ylabel="success in %")
        top[2].set_title(f"{rate:.0f} %, 95 % between {low:.0f} and {high:.0f} %", fontsize=9)
    _save(figure, picture, title)


def draw_replay(
    deviations: Sequence[Sequence[float]], paths: Sequence[tuple[np.ndarray, np.ndarray]], picture: Path, title: str
) -> None:
    """Draw how far replayed episodes are off, and where the tool went then and now.

    Args:
        deviations: of each episode, the largest difference of an observation after each step.
        paths: of each episode, the recorded and the replayed path (N, 3) in metres; none when they are not known.
        picture: PNG to write.
        title: over it.
    """
    figure, top, _ = _sheet(3 if paths else 1, 0)
    for values in deviations:
        top[0].plot(values, linewidth=1)
    top[0].set(xlabel="step", ylabel="largest difference of an observation")
    top[0].set_ylim(bottom=0.0)
    if paths:
        _paths(top[1], top[2], [then for then, _ in paths], [None] * len(paths))
        _paths(top[1], top[2], [now for _, now in paths], [True] * len(paths), style="--")
        top[1].set_title("tool: recorded gray, replayed blue", fontsize=9)
    _save(figure, picture, title)


def _first_and_last(rows: Batch, number: int) -> list[View]:
    """The newest images at an episode's ends, those of all cameras side by side; none without cameras."""
    ends = ((rows["observations"], 0, "first"), (rows["next_observations"], -1, "last"))
    found = []
    for moments, row, word in ends:
        stacks = [array[row] for _, array in leaves({"observation": moments}) if array.dtype == np.uint8]
        images = [stack.reshape(-1, *stack.shape[-3:])[-1] for stack in stacks if stack.ndim >= 3]
        if images:
            found.append((side_by_side(images), f"episode {number}, {word}"))
    return found


def _sheet(panels: int, views: int) -> tuple[Figure, list[Axes], list[Axes]]:
    """A figure with a row of panels, and with lines of images below it."""
    lines = -(-views // _SHOWN)
    figure = Figure(figsize=(3.4 * panels, 3.4 + 2.0 * lines), layout="constrained")
    if not lines:
        return figure, list(np.atleast_1d(figure.subplots(1, panels))), []
    halves: Any = figure.subfigures(2, 1, height_ratios=(3.4, 2.0 * lines))
    upper, lower = halves
    bottom = list(lower.subplots(lines, _SHOWN).ravel())
    for axes in bottom:
        axes.axis("off")
    return figure, list(np.atleast_1d(upper.subplots(1, panels))), bottom[:views]


def _bars(axes: Axes, heights: Sequence[float], successes: Sequence[bool | None], label: str) -> None:
    """A bar for each episode, coloured by its success."""
    numbers = np.arange(len(heights))
    for kind in (True, False, None):
        chosen = [success is kind for success in successes]
        if any(chosen):
            axes.bar(numbers[chosen], np.asarray(heights)[chosen], color=_COLORS[kind], label=_WORDS[kind])
    axes.set(xlabel="episode", ylabel=label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, fontsize=7, ncols=3, loc="lower left", bbox_to_anchor=(0.0, 1.0))
    axes.spines[["top", "right"]].set_visible(False)


def _action_shares(axes: Axes, actions: np.ndarray) -> None:
    """How often each number of the action had which value: one column each, darker is more often."""
    edges = np.linspace(-1.0, 1.0, _BINS + 1)
    shares = np.stack([np.histogram(column, edges)[0] / len(column) for column in actions.T], axis=1)
    limits = (-0.5, actions.shape[1] - 0.5, -1.0, 1.0)
    axes.imshow(np.sqrt(shares), cmap="Blues", origin="lower", aspect="auto", extent=limits, vmin=0.0, vmax=1.0)
    axes.set(xlabel="number of the action", ylabel="value", xticks=range(actions.shape[1]))
    axes.set_title("darker: more often", fontsize=9)


def _paths(
    above: Axes, side: Axes, paths: Sequence[np.ndarray], successes: Sequence[bool | None], style: str = "-"
) -> None:
    """Paths (N, 3) of the tool from two sides; a dot marks each end."""
    for axes, second, name in ((above, 1, "y"), (side, 2, "z")):
        for path, success in zip(paths, successes, strict=True):
            axes.plot(path[:, 0], path[:, second], style, color=_COLORS[success], linewidth=0.8, alpha=0.7)
            axes.plot(path[-1:, 0], path[-1:, second], ".", color=_COLORS[success])
        axes.set(xlabel="tool x in m", ylabel=f"tool {name} in m")
        axes.set_aspect("equal", adjustable="datalim")
        axes.spines[["top", "right"]].set_visible(False)


def _save(figure: Figure, picture: Path, title: str) -> None:
    figure.suptitle(title, fontsize=10)
    figure.savefig(picture, dpi=110)
