"""The view of a running training: one live panel on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from rl.utils.progress import LINE_EVERY_S, RateMeter, time_left

_FIGURES_IN_A_ROW = 5  # fits into 80 columns


class View(Protocol):
    """A view that shows the status of a run."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def show(self, status: Mapping[str, Any] | None) -> None:
        """Show the learner's newest status; None while it does not answer."""
        ...

    def say(self, text: str) -> None:
        """Tell an event that should stay readable."""
        ...


class LivePanel:
    """One panel that is redrawn in place."""

    def __init__(self, console: Console, title: str) -> None:
        self._title = title
        self._console = console
        self._meter = RateMeter()
        self._live = Live(console=console, refresh_per_second=4, transient=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, status: Mapping[str, Any] | None) -> None:
        """Redraw."""
        inside = render(status, measure_rates(self._meter, status))
        self._live.update(Panel(inside, title=self._title, title_align="left", width=min(100, self._console.width)))

    def say(self, text: str) -> None:
        """Print above the panel."""
        self._console.print(text, highlight=False)


class PlainLines:
    """A line every ten seconds and one at the end, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._meter = RateMeter()
        self._next_s = 0.0
        self._unsaid: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._unsaid is not None:
            self.say(self._unsaid)

    def show(self, status: Mapping[str, Any] | None) -> None:
        """Print a line when it is time."""
        if not status or not status["progress"]:
            return
        self._unsaid = summary_line(status, measure_rates(self._meter, status))
        if time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + LINE_EVERY_S
            self.say(self._unsaid)
            self._unsaid = None

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, highlight=False, soft_wrap=True, markup=False)


def make_view(console: Console, title: str) -> View:
    """A live panel on a terminal, lines elsewhere."""
    return LivePanel(console, title) if console.is_terminal else PlainLines(console)


@dataclass(frozen=True)
class Rates:
    """How fast a run goes, by the watch of whoever looks: a learner that is busy with one long update tells nothing."""

    env_steps_per_s: float = 0.0
    updates_per_s: float = 0.0


def measure_rates(meter: RateMeter, status: Mapping[str, Any] | None) -> Rates:
    """The rates up to the newest status."""
    if status and status["progress"]:
        meter.add(time.monotonic(), status["env_steps"], status["progress"]["updates"])
    return Rates(*meter.rates_per_s())


def render(status: Mapping[str, Any] | None, rates: Rates) -> Group:
    """The inside of the panel."""
    if not status or not status["progress"]:
        return Group(Text("starting …", style="dim"))
    progress = status["progress"]
    bar = ProgressBar(total=progress["steps"], completed=status["env_steps"], width=30)
    head = Table.grid(padding=(0, 2))
    head.add_row(bar, f"{status['env_steps']:,} / {progress['steps']:,} steps", _remaining(status, rates))
    return Group(
        head,
        _figures(status, rates),
        Text(_actors(status), style="red"),
        Text(_waiting(progress), style="yellow"),
        *(Text(finding, style="magenta") for finding in progress["findings"]),
    )


def summary_line(status: Mapping[str, Any], rates: Rates) -> str:
    """Return the status in a line."""
    progress = status["progress"]
    parts = [
        f"steps {status['env_steps']}/{progress['steps']}",
        f"updates {progress['updates']}",
        f"{_rate(rates.env_steps_per_s)} steps/s",
        f"{_rate(rates.updates_per_s)} updates/s",
        f"buffer {progress['buffer']}",
        f"return {_number(progress['episode_return'])}",
        f"lag {_lag(status)}",
    ]
    evaluation = progress["evaluation"]
    if evaluation:
        parts.append(f"evaluation {evaluation['return_mean']:z.2f}")
    if "success_rate" in evaluation:
        parts.append(f"success {evaluation['success_rate']:.0%}")
    if left := _remaining(status, rates):
        parts.append(left)
    if trouble := _actors(status):
        parts.append(trouble)
    parts += [f"found {finding.partition(':')[0]}" for finding in progress["findings"]]
    return ", ".join(parts) + _waiting(progress, before=", ")


def _figures(status: Mapping[str, Any], rates: Rates) -> Table:
    progress, evaluation = status["progress"], status["progress"]["evaluation"]
    grid = Table.grid(padding=(0, 3))
    success = f"{evaluation['success_rate']:.0%}" if "success_rate" in evaluation else "–"
    cells = [
        ("return", _number(progress["episode_return"])),
        ("evaluation", _number(evaluation.get("return_mean"))),
        ("success", success),
        ("episodes", f"{progress['episodes']:,}"),
        ("updates", f"{progress['updates']:,}"),
        ("updates/s", _rate(rates.updates_per_s)),
        ("steps/s", _rate(rates.env_steps_per_s)),
        ("actor lag", _lag(status)),
        ("buffer", f"{progress['buffer']:,}"),
    ]
    for start in range(0, len(cells), _FIGURES_IN_A_ROW):
        row = cells[start : start + _FIGURES_IN_A_ROW]
        grid.add_row(*(Text(name, style="dim") for name, _ in row))
        grid.add_row(*(Text(value, style="bold") for _, value in row))
    return grid


def _actors(status: Mapping[str, Any]) -> str:
    """Return what is wrong with the actors; empty when nothing is."""
    words = []
    for name, actor in status["actors"].items():
        if actor["role"] == "actor" and not actor["is_connected"]:
            words.append(f"{name} is away for {actor['silent_s']:.0f} s")
        elif actor["waiting_for"]:
            words.append(f"{name} waits until the robot is recovered: {actor['waiting_for']}")
        if actor["dropped"]:
            words.append(f"{name} dropped {actor['dropped']} transitions")
    return "; ".join(words)


def _waiting(progress: Mapping[str, Any], before: str = "") -> str:
    """Return what the learner is busy with, or waits for."""
    if progress["busy_with"]:
        return f"{before}{progress['busy_with']}"
    return f"{before}waiting for {progress['waiting_for']}" if progress["waiting_for"] else ""


def _lag(status: Mapping[str, Any]) -> str:
    """Age in updates of the oldest weights that an actor acts with."""
    actors = [actor for actor in status["actors"].values() if actor["role"] == "actor" and actor["is_connected"]]
    lags = [actor["lag"] for actor in actors if actor["lag"] is not None]
    return f"{max(lags)} updates" if lags else "–"


def _remaining(status: Mapping[str, Any], rates: Rates) -> str:
    """The time that is left; nothing while the learner does what it does once, which tells nothing of the rest."""
    if status["progress"]["busy_with"]:
        return ""
    return time_left(status["progress"]["steps"] - status["env_steps"], rates.env_steps_per_s)


def _rate(per_s: float) -> str:
    """Format a rate, with one decimal below ten: a slow robot does not stand still."""
    return f"{per_s:.1f}" if per_s < 10.0 else f"{per_s:.0f}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:z.2f}"
