"""What learner and actor tell each other is not lost and reaches whom it should: credit, weights, reports, trouble."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import ExitStack
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from websockets.sync.client import connect

from rl.data.journal import TransitionJournal
from rl.errors import JournalError, LinkProtocolError
from rl.link.actor_connection import ActorConnection
from rl.link.client import LearnerLink
from rl.link.frames import Weights
from rl.link.hub import LearnerHub
from rl.link.link_connection import LinkConnection
from rl.link.messages import NOTHING_STORED, HandshakeReply, Reject, Report
from rl.link.outbox import Outbox
from rl.link.server import LinkServer
from rl.link.state import LinkState
from tests.support.waiting import wait_until

from .conftest import SPEC, handshake, settings
from .test_exactly_once import chunk, next_message, shake_hands


def test_m17_evaluators_take_no_share_of_what_actors_may_do(journal: TransitionJournal):
    hub = LearnerHub(journal, SPEC.env)
    hub.grant(10)
    actor, _ = hub.register(handshake())
    hub.register(handshake("second", "judge").model_copy(update={"role": "evaluator"}))
    assert hub.ack(actor).sequence_limit == NOTHING_STORED + 10
    hub.register(handshake("third", "other"))
    assert hub.ack(actor).sequence_limit == NOTHING_STORED + 5


def test_f16_what_an_older_connection_had_under_way_is_not_stored_any_more(journal: TransitionJournal):
    hub = LearnerHub(journal, SPEC.env)
    actor, _ = hub.register(handshake())
    hub.store(actor, actor.newest, [chunk(0, 2)])
    hub.register(handshake())
    with pytest.raises(LinkProtocolError, match="connected again"):
        hub.store(actor, actor.newest - 1, [chunk(2, 2)])
    hub.store(actor, actor.newest, [chunk(2, 3)])
    assert len(journal) == 5


def test_m18_a_disk_that_takes_no_more_is_told_to_the_learners_loop(
    server: LinkServer, hub: LearnerHub, journal: TransitionJournal, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_: object) -> int:
        raise JournalError("the disk is full")

    monkeypatch.setattr(journal, "append", refuse)
    with connect(f"ws://127.0.0.1:{server.port}/v1/link", proxy=None) as raw:
        shake_hands(raw)
        raw.send(chunk(0, 5).to_bytes())
        with pytest.raises(JournalError, match="the disk is full"):
            hub.wait_for_data(1, 20.0)


def test_m18_what_one_actor_sends_wrongly_is_no_trouble_of_the_disk(server: LinkServer, hub: LearnerHub):
    with connect(f"ws://127.0.0.1:{server.port}/v1/link", proxy=None) as raw:
        shake_hands(raw)
        raw.send(chunk(7, 5).to_bytes())  # what comes before is missing
        assert next_message(raw, Reject).code == "sequence_gap"
    assert not hub.wait_for_data(1, 0.0)


@pytest.mark.parametrize("is_late", [False, True])
def test_m19_the_last_weights_arrive_although_the_training_is_over(server: LinkServer, hub: LearnerHub, is_late: bool):
    def end() -> None:
        hub.publish(Weights(9, {"layer": np.full(4, 9.0, np.float32)}))
        hub.finish()

    if is_late:
        end()
    with LearnerLink(settings(server.port), handshake()) as link:
        if not is_late:
            end()
        while not link.is_finished:
            link.may_step(0.01)
        weights = link.take_weights()
        assert weights is not None
        assert weights.version == 9


class Line:
    """A socket that takes so many messages and then breaks."""

    def __init__(self, most: int) -> None:
        self.sent: list[str] = []
        self._most = most

    async def send(self, text: str) -> None:
        if len(self.sent) == self._most:
            raise ConnectionError("cut")
        self.sent.append(text)


def test_m20_a_report_that_was_cut_off_is_sent_again():
    reports = [Report(topic="evaluation", weights_version=n, values={"n": n}) for n in range(3)]
    state = LinkState(Outbox(10, "wait"), deque(reports))
    connection = LinkConnection(settings(1), handshake(), state)
    broken, whole = Line(1), Line(2)
    for line in (broken, whole):
        with pytest.raises((ConnectionError, TimeoutError)):
            asyncio.run(asyncio.wait_for(connection._send_queued(line), 0.05))
    sent = [Report.model_validate_json(text).weights_version for text in broken.sent + whole.sent]
    assert sent == [0, 1, 2]
    assert not state.reports


class Told(LinkState):
    """Remembers what was known of the run each time that something was told of it."""

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name == "handshake_reply" and value is not None:
            self.env_steps_then = self.env_steps


def test_whoever_waits_for_the_learners_reply_knows_its_steps_with_it():
    """A late actor would act at random again."""
    state = Told(Outbox(10, "wait"), deque())
    connection = LinkConnection(settings(1), handshake(), state)
    line = Line(1)
    line.recv = lambda: asyncio.sleep(0, HandshakeReply(last_sequence=NOTHING_STORED, env_steps=70).model_dump_json())
    asyncio.run(connection._shake_hands(line))
    assert (state.env_steps_then, state.connections) == (70, 1)


def test_a_lost_learner_is_told_once_with_the_time_until_which_it_is_waited_for(monkeypatch, caplog):
    """Five minutes after 1000 s are 1300 s."""
    clock = SimpleNamespace(time=lambda: 1000.0, localtime=time.gmtime, strftime=time.strftime)
    monkeypatch.setattr("rl.link.link_connection.time", clock)
    state = LinkState(Outbox(10, "wait"), deque())
    connection = LinkConnection(settings(1), handshake(), state)
    connection._note("no route", 300.0)
    assert not caplog.records, "until there was a learner, whoever waits for it tells"
    state.connections, state.last_problem = 1, ""
    for _ in range(2):
        connection._note("no route", 300.0)
    (record,) = caplog.records
    assert "no route. Trying again until 00:21:40" in record.getMessage()


def test_m21_what_was_acknowledged_outlives_a_power_cut(journal: TransitionJournal):
    assert journal._connection.execute("PRAGMA synchronous").fetchone() == (2,), "FULL"
    assert journal._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_l19_many_changes_wake_a_connection_once_until_it_looks(journal: TransitionJournal):
    """Else each of n actors would be woken by each transition of the n: the learner computes in the same process."""
    hub = LearnerHub(journal, SPEC.env)
    hub.register(handshake())
    woken: list[object] = []
    loop = SimpleNamespace(call_soon_threadsafe=woken.append)
    connection = ActorConnection(None, hub, None)  # type: ignore[arg-type]
    hub.subscribe(partial(connection._tell, loop))
    for limit in range(1, 101):
        hub.grant(limit)
    assert len(woken) == 1
    connection._is_told = False
    hub.finish()
    assert len(woken) == 2


def test_l19_each_of_many_actors_hears_the_newest_permission(server: LinkServer, hub: LearnerHub):
    """Messages in between may be left out, and the newest never is."""
    with ExitStack() as stack:
        links = [
            stack.enter_context(LearnerLink(settings(server.port), handshake("attempt", f"actor-{number}")))
            for number in range(8)
        ]
        assert hub.connections == 8
        for limit in range(1, 81):
            hub.grant(limit)
        wait_until(lambda: all(link._state.sequence_limit + 1 == 10 for link in links))
