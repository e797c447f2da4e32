"""Laws of the link's parts by themselves: what a hub remembers, what is sent again, when an actor gives up."""

from __future__ import annotations

import asyncio
from collections import deque
from types import SimpleNamespace

import numpy as np
import pytest

from rl.data.journal import TransitionJournal
from rl.errors import JournalError, LinkProtocolError, PolicyUnavailable, RlError, SchemaMismatch
from rl.link.actor_connection import _NEWS_PAUSE_S, ActorConnection
from rl.link.client import LearnerLink
from rl.link.frames import Chunk, Weights
from rl.link.hub import LearnerHub
from rl.link.link_config import TOKEN_VARIABLE, LinkConfig
from rl.link.link_connection import LinkConnection, _Rejected
from rl.link.messages import Ack, Heartbeat
from rl.link.outbox import Outbox
from rl.link.policy_client import PolicyClient
from rl.link.state import LinkState
from tests.support.policy_server import PolicyScript, actions, serving

from .conftest import SPEC, handshake, settings


def test_the_share_that_was_waited_counts_from_one_report_to_the_next(monkeypatch: pytest.MonkeyPatch):
    clock = SimpleNamespace(monotonic=lambda: now_s)
    monkeypatch.setattr("rl.link.client.time", clock)
    now_s = 100.0
    link = LearnerLink(settings(1), handshake())
    link._waited_s, now_s = 3.0, 112.0
    assert link._take_waited_share() == 0.25
    now_s = 124.0
    assert link._take_waited_share() == 0.0


def test_a_hub_remembers_each_message_and_each_connection(journal: TransitionJournal, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("rl.link.hub.time", SimpleNamespace(monotonic=lambda: now_s))
    now_s, hub = 50.0, LearnerHub(journal, SPEC.env)
    record, _ = hub.register(handshake())
    hub.register(handshake())
    hub.unregister(record)
    assert hub.connections == 1
    now_s = 60.0
    assert hub.silence_s() == 10.0
    hub.on_message(record, Heartbeat(weights_version=4, backlog=7, dropped=2, waiting_for="a fault"))
    assert hub.silence_s() == 0.0
    told = hub.status()["actors"]["arm"]
    names = ("weights_version", "backlog", "dropped", "waiting_for")
    assert [told[name] for name in names] == [4, 7, 2, "a fault"]


def test_a_failure_is_news(journal: TransitionJournal):
    hub, heard = LearnerHub(journal, SPEC.env), list[bool]()
    hub.subscribe(lambda: heard.append(True))
    hub.fail(JournalError("the disk is full"))
    assert heard == [True]


def test_weights_are_no_reason_to_acknowledge_again_and_each_news_is_followed_by_a_pause(
    hub: LearnerHub, monkeypatch: pytest.MonkeyPatch
):
    record, _ = hub.register(handshake())
    hub.register(handshake("x", "other"))
    acks, pauses, version, yielding = [], list[float](), 0, asyncio.sleep

    async def send_text(text: str) -> None:
        acks.append(text)

    async def send_bytes(data: bytes) -> None: ...

    async def pause(seconds: float) -> None:
        nonlocal version
        pauses.append(seconds)
        version += 1
        if version == 4:
            raise ConnectionError("enough")
        hub.publish(Weights(version, {"head": np.zeros(1, np.float32)}))
        await yielding(0)

    monkeypatch.setattr(asyncio, "sleep", pause)
    connection = ActorConnection(SimpleNamespace(send_text=send_text, send_bytes=send_bytes), hub, None)
    connection._number = record.newest
    with pytest.raises(ConnectionError, match="enough"):
        asyncio.run(asyncio.wait_for(connection._send_news(record), 60.0))
    assert len(acks) == 1
    assert pauses == [2 * _NEWS_PAUSE_S] * 4


def connection_that(monkeypatch: pytest.MonkeyPatch, state: LinkState, *errors: Exception) -> LinkConnection:
    """A connection whose attempts end with these errors, one after the other and without pauses."""
    monkeypatch.setattr("rl.link.link_connection._FIRST_PAUSE_S", 0.0)
    connection, left = LinkConnection(settings(1), handshake(), state), list(errors)

    async def run() -> None:
        state.connections += 1
        raise left.pop(0)

    monkeypatch.setattr(connection, "_run", run)
    return connection


@pytest.mark.parametrize(("error", "attempts"), [(LinkProtocolError("no"), 5), (SchemaMismatch("no"), 1)])
def test_an_actor_gives_up_after_so_many_rejects(monkeypatch: pytest.MonkeyPatch, error: RlError, attempts: int):
    state = LinkState(Outbox(10, "wait"), deque())
    connection = connection_that(monkeypatch, state, *[_Rejected(error)] * 6)
    with pytest.raises(type(error)):
        asyncio.run(connection._reconnect())
    assert state.connections == attempts


def test_each_loss_of_a_learner_is_told_although_the_problem_is_that_of_the_last_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    state = LinkState(Outbox(10, "wait"), deque())
    errors = OSError("no route"), OSError("no route"), _Rejected(SchemaMismatch("end"))
    with pytest.raises(SchemaMismatch):
        asyncio.run(connection_that(monkeypatch, state, *errors)._reconnect())
    assert [("no route" in record.getMessage()) for record in caplog.records] == [True, True]


def test_a_learner_that_begins_with_anything_but_its_reply_is_refused():
    ack = Ack(last_sequence=-1, sequence_limit=3, env_steps=0, is_finished=False).model_dump_json()
    line = SimpleNamespace(recv=lambda: asyncio.sleep(0, ack), send=lambda text: asyncio.sleep(0))
    connection = LinkConnection(settings(1), handshake(), LinkState(Outbox(10, "wait"), deque()))
    with pytest.raises(LinkProtocolError, match="must be a handshake reply, not ack"):
        asyncio.run(connection._shake_hands(line))


@pytest.mark.parametrize(("first", "lengths"), [(-1, (2, 2)), (0, (2, 3))])
def test_a_chunk_has_a_number_and_one_length(first: int, lengths: tuple[int, int]):
    names = ("rewards", "masks")
    arrays = {name: np.zeros(length, np.float32) for name, length in zip(names, lengths, strict=True)}
    with pytest.raises(LinkProtocolError, match="arrays of one length"):
        Chunk.from_bytes(Chunk(first, arrays).to_bytes())


def test_the_token_of_the_configuration_goes_before_that_of_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    assert (LinkConfig().secret(), LinkConfig(token="own").secret()) == (None, "own")
    monkeypatch.setenv(TOKEN_VARIABLE, "around")
    assert (LinkConfig().secret(), LinkConfig(token="own").secret()) == ("around", "own")


def test_a_served_chunk_has_a_thousand_actions_at_most():
    script = PolicyScript(lambda asked: actions(*[0.5] * 1000))
    with serving(script) as url:
        client = PolicyClient(url)
        client.connect(60.0)
        assert client.infer({}, 1, 60.0).shape == (1000, 1)
        script.answer = lambda asked: actions(*[0.5] * 1001)
        with pytest.raises(PolicyUnavailable, match=r"\(1001, 1\), and \(1 to 1000, 1\) is right"):
            client.infer({}, 1, 60.0)
