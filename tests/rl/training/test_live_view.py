"""The view shows what an operator asks for, and never fails on what is not there yet."""

from __future__ import annotations

import io
from dataclasses import asdict

import pytest
from rich.console import Console

from rl.training.live_view import PlainLines, make_view, summary_line
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


def status(progress: Progress, **actor: object) -> dict:
    return {"env_steps": 800, "progress": asdict(progress), "actors": {"actor-0": {**ACTOR, **actor}}}


LEARNING = Progress(
    2000, 45, 800, 790, 5.5, 44.0, 8, 12.25, {"return_mean": 33.0, "success_rate": 0.75}, waiting_for=None
)


@pytest.mark.parametrize("is_terminal", [True, False])
def test_every_figure_is_shown(is_terminal: bool):
    out = io.StringIO()
    with make_view(Console(file=out, force_terminal=is_terminal, width=110), "title") as view:
        view.show(None)
        view.show(status(LEARNING))
        view.say("an event")
    shown = out.getvalue()
    for figure in ("2000", "45", "790", "5.5", "44", "12.25", "33.0", "75%", "5 updates", "an event"):
        assert figure in shown.replace(",", ""), figure


def test_a_run_that_has_just_begun_is_shown_too():
    assert "waiting for the first actor" in summary_line(status(Progress(2000), lag=None))


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
    assert reason in summary_line(status(LEARNING, waiting_for=reason))


def test_a_pipe_gets_lines():
    assert isinstance(make_view(Console(file=io.StringIO()), "title"), PlainLines)
