"""The view shows what an operator asks for, and never fails on what is not there yet."""

from __future__ import annotations

import io
from dataclasses import asdict, replace

import pytest
from rich.console import Console

from rl.training import live_view
from rl.training.live_view import PlainLines, Rates, make_view, summary_line
from rl.training.trainer import Progress

ACTOR = {
    "role": "actor",
    "is_connected": True,
    "silent_s": 0.1,
    "stored": 800,
    "lag": 5,
    "backlog": 0,
    "dropped": 0,
    "waiting_for": None,
}


def status(progress: Progress, env_steps: int = 800, **actor: object) -> dict:
    return {"env_steps": env_steps, "progress": asdict(progress), "actors": {"actor-0": {**ACTOR, **actor}}}


LEARNING = Progress(2000, 45, 800, 790, 8, 12.25, {"return_mean": 33.0, "success_rate": 0.75}, waiting_for=None)


class Watch:
    """The time that a view sees."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    watch = Watch()
    monkeypatch.setattr(live_view, "time", watch)
    return watch


@pytest.mark.parametrize("is_terminal", [True, False])
def test_every_figure_is_shown(is_terminal: bool, watch: Watch):
    out = io.StringIO()
    with make_view(Console(file=out, force_terminal=is_terminal, width=110), "title") as view:
        view.show(None)
        view.show(status(replace(LEARNING, updates=40), env_steps=756))
        watch.now_s += 1.0
        view.show(status(LEARNING))
        view.say("an event")
    shown = out.getvalue()
    for figure in ("2000", "45", "790", "5.0", "44", "12.25", "33.0", "75%", "5 updates", "an event", "0:27 left"):
        assert figure in shown.replace(",", ""), figure


def test_a_run_that_has_just_begun_is_shown_too():
    assert "waiting for the first actor" in summary_line(status(Progress(2000), lag=None), Rates())


def test_trouble_is_shown():
    out = io.StringIO()
    with make_view(Console(file=out, force_terminal=True, width=110), "title") as view:
        view.show(status(LEARNING, is_connected=False, dropped=3))
    assert "away" in out.getvalue()
    assert "dropped 3" in out.getvalue()


def test_d7_what_an_actor_waits_for_is_shown():
    out = io.StringIO()
    reason = "reach: the robot is stopped: a person pressed stop"
    with make_view(Console(file=out, force_terminal=True, width=110), "title") as view:
        view.show(status(LEARNING, waiting_for=reason))
    assert "actor-0 waits until the robot is recovered" in out.getvalue()
    assert reason in summary_line(status(LEARNING, waiting_for=reason), Rates())


def test_a_pipe_gets_lines():
    assert isinstance(make_view(Console(file=io.StringIO()), "title"), PlainLines)


def test_u6_a_short_run_ends_with_its_last_figures_and_a_line_has_the_time_left(watch: Watch):
    out = io.StringIO()
    with make_view(Console(file=out, width=200), "title") as view:
        for second in range(13):
            view.show(status(replace(LEARNING, updates=second), env_steps=50 * second))
            watch.now_s += 1.0
    lines = out.getvalue().splitlines()
    assert [line.split(",")[0] for line in lines] == ["steps 0/2000", "steps 500/2000", "steps 600/2000"]
    assert "50 steps/s" in lines[1]
    assert "1.0 updates/s" in lines[1]
    assert "about 0:30 left" in lines[1]
    assert "about 0:28 left" in lines[2]


def test_u6_what_was_said_is_not_said_again_at_the_end():
    out = io.StringIO()
    with make_view(Console(file=out, width=200), "title") as view:
        view.show(status(LEARNING))
    assert len(out.getvalue().splitlines()) == 1


@pytest.mark.parametrize("is_terminal", [True, False])
def test_u7_what_the_first_update_takes_is_shown_instead_of_a_standstill(is_terminal: bool, watch: Watch):
    out = io.StringIO()
    with make_view(Console(file=out, force_terminal=is_terminal, width=160), "title") as view:
        view.show(None)
        view.show(status(replace(LEARNING, updates=0, busy_with="compiling the update, once: about 40 s"), 700))
        watch.now_s += 11.0
        view.show(status(replace(LEARNING, updates=0, busy_with="compiling the update, once: about 40 s")))
    assert "compiling the update, once: about 40 s" in out.getvalue()
    assert " left" not in out.getvalue()
