"""`Heartbeats`: a client is heard for what it waits for, for as long as it waits, and for nobody else."""

from __future__ import annotations

import pytest

from servers.heartbeats import Heartbeats
from servers.turns import Caller


@pytest.fixture
def heartbeats() -> Heartbeats:
    return Heartbeats()


def _silent() -> Caller:
    caller = Caller()
    caller.heard_s = -1.0
    return caller


def test_b10_a_beat_is_heard_by_all_that_its_client_waits_for_and_by_nobody_else(heartbeats: Heartbeats) -> None:
    one, other, foreign = _silent(), _silent(), _silent()
    with heartbeats.expected("a", one), heartbeats.expected("a", other), heartbeats.expected("b", foreign):
        heartbeats.beat("a")
        heartbeats.beat("c")
    assert one.heard_s > 0.0
    assert other.heard_s > 0.0
    assert foreign.heard_s == -1.0


def test_b10_after_the_wait_nothing_is_heard_or_kept(heartbeats: Heartbeats) -> None:
    one, other = _silent(), _silent()
    with heartbeats.expected("a", other):
        with pytest.raises(ZeroDivisionError), heartbeats.expected("a", one):
            raise ZeroDivisionError
        heartbeats.beat("a")
        assert (one.heard_s, other.heard_s > 0.0) == (-1.0, True)
    heartbeats.beat("a")
    assert not heartbeats._callers
