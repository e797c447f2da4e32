"""U6: rates are those of the wall time, and everything that takes long says how far it is, also without a terminal."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from rl.utils.progress import RateMeter, show_progress, time_left


@given(st.floats(0.01, 1000.0), st.floats(0.01, 30.0), st.integers(2, 400))
def test_a_steady_run_has_the_rate_that_it_has(rate: float, period_s: float, looks: int):
    meter = RateMeter()
    for look in range(looks):
        meter.add(7.0 + look * period_s, look * period_s * rate, 5)
    assert meter.rates_per_s() == (pytest.approx(rate), 0.0)


def test_u6_steps_count_while_an_update_stands_still_and_a_pause_counts_too():
    meter = RateMeter(window_s=60.0)
    for second in range(11):
        meter.add(second, 40 * second, 0)
    assert meter.rates_per_s() == (40.0, 0.0)
    for second in range(11, 21):
        meter.add(second, 400, 0)
    assert meter.rates_per_s() == (20.0, 0.0)


def test_what_was_before_the_last_minute_is_forgotten():
    meter = RateMeter(window_s=60.0)
    for second in range(100):
        meter.add(second, 1000.0 * second)
    for second in range(100, 161):
        meter.add(second, 1000.0 * 99)
    assert meter.rates_per_s() == (0.0,)


def test_rates_of_a_slow_log_are_those_between_its_lines():
    meter = RateMeter(window_s=60.0)
    for line in range(4):
        meter.add(300.0 * line, 30.0 * line)
    assert meter.rates_per_s() == (0.1,)


def test_counters_that_fall_begin_anew():
    meter = RateMeter()
    for second, steps in enumerate((500, 600, 40, 45)):
        meter.add(second, steps)
    assert meter.rates_per_s() == (5.0,)


def test_before_there_are_two_looks_nothing_moves():
    meter = RateMeter()
    meter.add(1.0, 3, 4)
    assert meter.rates_per_s() == (0.0, 0.0)
    meter.add(1.0, 5, 4)
    assert meter.rates_per_s() == (0.0, 0.0)


@pytest.mark.parametrize(
    ("rest", "rate", "words"),
    [
        (100, 10.0, "about 0:10 left"),
        (600, 5.0, "about 2:00 left"),
        (82_920, 1.0, "about 23:02:00 left"),
        (100, 0.0, ""),
        (0, 3.0, ""),
    ],
)
def test_the_time_that_is_left_is_that_of_a_clock(rest: float, rate: float, words: str):
    assert time_left(rest, rate) == words


def test_u6_without_a_terminal_there_is_a_line_every_ten_seconds_with_the_time_left():
    out, now_s = io.StringIO(), [0.0]
    with show_progress(Console(file=out, width=200), "epochs", 20, clock_s=lambda: now_s[0]) as show:
        for epoch in range(1, 11):
            now_s[0] += 4.0
            show(epoch, f"loss 0.{epoch}")
    assert out.getvalue().splitlines() == [
        "epochs 3/20, loss 0.3, about 1:08 left",
        "epochs 6/20, loss 0.6, about 0:56 left",
        "epochs 9/20, loss 0.9, about 0:44 left",
    ]


def test_what_has_no_end_has_no_time_left():
    out, now_s = io.StringIO(), [0.0]
    with show_progress(Console(file=out, width=200), "frames", None, clock_s=lambda: now_s[0]) as show:
        now_s[0] = 10.0
        show(3, "")
    assert out.getvalue() == "frames 3\n"


def test_on_a_terminal_there_is_a_bar():
    out = io.StringIO()
    with show_progress(Console(file=out, force_terminal=True, width=100), "epochs", 20) as show:
        show(5, "loss 0.5")
    assert "5/20" in out.getvalue()
    assert "loss 0.5" in out.getvalue()
