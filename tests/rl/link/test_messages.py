"""Weights, credit, rejects and tokens: the messages of actor and learner beside the data."""

from __future__ import annotations

import json
import re
import threading

import gymnasium as gym
import httpx
import numpy as np
import pytest
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from rl.data.journal import TransitionJournal
from rl.errors import ConfigError, LinkProtocolError, LinkUnauthorized, LinkUnavailable, SchemaMismatch
from rl.link.client import LearnerLink
from rl.link.frames import Weights
from rl.link.hub import LearnerHub
from rl.link.messages import build_space, spec_of
from rl.link.server import LinkServer
from tests.support.waiting import wait_until

from .conftest import SPEC, handshake, settings, transition


def weights(version: int) -> Weights:
    return Weights(version, {"layer": np.full(4, version, np.float32)})


def test_a_late_actor_gets_the_weights_at_once(server: LinkServer, hub: LearnerHub):
    """agentlace's A8: there, a late subscriber acts at random until the next publication."""
    hub.publish(weights(7))
    with LearnerLink(settings(server.port), handshake()) as link:
        taken = link.wait_for_weights(10.0)
        assert taken is not None
        assert taken.version == 7
        assert link.take_weights() is None, "the same weights twice"


def test_the_newest_weights_win(server: LinkServer, hub: LearnerHub):
    with LearnerLink(settings(server.port), handshake()) as link:
        for version in range(1, 50):
            hub.publish(weights(version))
        seen = [0]
        while seen[-1] < 49:
            taken = link.wait_for_weights(10.0)
            assert taken is not None
            seen.append(taken.version)
        assert seen == sorted(set(seen))


def test_an_actor_waits_for_the_learner_s_leave(server: LinkServer, hub: LearnerHub):
    hub.grant(5)
    with LearnerLink(settings(server.port), handshake()) as link:
        steps = 0
        while link.may_step(0.3):
            link.send(transition(steps))
            steps += 1
        assert steps == 5
        hub.grant(8)
        while link.may_step(0.3):
            link.send(transition(steps))
            steps += 1
        assert steps == 8


def test_leave_is_shared_among_the_connected(server: LinkServer, hub: LearnerHub):
    hub.grant(40)
    with (
        LearnerLink(settings(server.port), handshake("x", "one")) as one,
        LearnerLink(settings(server.port), handshake("x", "two")) as two,
    ):
        steps = {one: 0, two: 0}
        for link in (one, two) * 60:
            if link.may_step(0.02):
                link.send(transition(steps[link]))
                steps[link] += 1
                assert link.flush(10.0)  # what is under way is not counted yet, and may be promised twice
        assert 40 <= sum(steps.values()) <= 42, "each actor may round up once"
        assert min(steps.values()) > 5


def test_the_end_is_told(server: LinkServer, hub: LearnerHub):
    with LearnerLink(settings(server.port), handshake()) as link:
        assert link.may_step(10.0)
        hub.finish()
        hub.grant(0)
        while not link.is_finished:
            link.may_step(0.01)
        assert not link.may_step(10.0), "a step after the end"


def test_reports_and_heartbeats_arrive(server: LinkServer, hub: LearnerHub):
    hub.publish(weights(3))
    with LearnerLink(settings(server.port), handshake()) as link:
        link.wait_for_weights(10.0)
        link.report("episode", {"return": 4.0})
        assert link.flush(10.0)
        assert hub.wait_for_data(0, 1.0)
        reports: list = []
        while not reports:
            reports = hub.take_reports()
        (name, report) = reports[0]
        told = {"return": 4.0, "waited_share": 0.0}
        assert (name, report.topic, report.values, report.weights_version) == ("arm", "episode", told, 3)
        actor = hub.status()["actors"]["arm"]
        assert actor["is_connected"]
        assert hub.silence_s() < 10.0


def test_other_spaces_are_refused_with_the_difference(server: LinkServer, hub: LearnerHub):
    with LearnerLink(settings(server.port), handshake()):
        other = SPEC.model_copy(update={"action": SPEC.action.model_copy(update={"shape": (9,)})})
        with pytest.raises(SchemaMismatch, match=r"\(9,\).*\(2,\)"):
            LearnerLink(settings(server.port), handshake("x", "other", other)).__enter__()


def test_another_environment_is_refused(server: LinkServer):
    other = SPEC.model_copy(update={"env": "Letters-v0"})
    with pytest.raises(SchemaMismatch, match="--env Numbers-v0"):
        LearnerLink(settings(server.port), handshake(spec=other)).__enter__()


def test_an_actor_of_protocol_1_is_rejected_in_its_own_protocol(server: LinkServer):
    with connect(f"ws://127.0.0.1:{server.port}/v1/link", proxy=None) as raw:
        raw.send('{"kind":"hello","protocol":1,"actor":"arm","attempt":"first","role":"actor","spec":{}}')
        answer = json.loads(raw.recv(10.0))
    assert (answer["kind"], answer["code"]) == ("refusal", "link_protocol_error")
    assert "the actor has protocol 1 of the link, the learner 2: update the actor" in answer["message"]


def test_a_learner_of_protocol_1_is_told_to_the_actor():
    def refuse(connection: ServerConnection) -> None:
        connection.recv()
        connection.send('{"kind":"refusal","code":"link_protocol_error","message":"this is no message of protocol 1"}')
        connection.recv(10.0)

    with serve(refuse, "127.0.0.1", 0) as old:
        serving = threading.Thread(target=old.serve_forever)
        serving.start()
        with pytest.raises(LinkProtocolError, match="protocol 1 of the link, this actor 2: update the learner"):
            LearnerLink(settings(old.socket.getsockname()[1]), handshake()).__enter__()
    serving.join(10.0)


@pytest.fixture
def guarded(journal: TransitionJournal):
    with LinkServer(LearnerHub(journal, SPEC.env), "127.0.0.1", 0, token="secret") as running:
        yield running


@pytest.mark.parametrize("token", [None, "wrong", "secre", "sécret"])
def test_a_wrong_token_is_refused(guarded: LinkServer, token: str | None):
    with pytest.raises(LinkUnauthorized, match="token"):
        LearnerLink(settings(guarded.port, token=token), handshake()).__enter__()


def test_the_right_token_is_accepted(guarded: LinkServer):
    with LearnerLink(settings(guarded.port, token="secret"), handshake()) as link:
        assert link.handshake_reply.last_sequence == -1


def test_the_status_needs_the_token_too(guarded: LinkServer):
    url = f"http://127.0.0.1:{guarded.port}/v1/status"
    assert httpx.get(url, timeout=60.0).status_code == 401
    answer = httpx.get(url, headers={"Authorization": "Bearer secret"}, timeout=60.0)
    assert answer.json()["env"] == SPEC.env


def test_an_open_address_needs_a_token(hub: LearnerHub):
    with pytest.raises(ConfigError, match=r"--link\.token"):
        LinkServer(hub, "0.0.0.0", 0)


def test_a_port_in_use_is_a_sentence(server: LinkServer, hub: LearnerHub):
    with pytest.raises(ConfigError, match=rf"cannot listen on 127.0.0.1:{server.port}.*--link\.port"):
        LinkServer(hub, "127.0.0.1", server.port)


def test_no_learner_is_a_sentence(unused_port: int):
    with pytest.raises(LinkUnavailable, match="Is it running"):
        LearnerLink(settings(unused_port), handshake(), connect_timeout_s=0.3).__enter__()


def test_an_actor_without_a_learner_says_how_long_it_waits(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, unused_port: int
):
    monkeypatch.setattr("rl.link.client._SOON_S", 0.2)
    with pytest.raises(LinkUnavailable), LearnerLink(settings(unused_port), handshake(), connect_timeout_s=1.2):
        pass
    assert re.search(r"no learner at ws://.*Connect call failed.*Waiting 1 s more.*Ctrl\+C", caplog.text)


def test_an_actor_that_lost_its_learner_says_until_when_it_waits_and_what_to_do(
    journal: TransitionJournal, caplog: pytest.LogCaptureFixture
):
    hub = LearnerHub(journal, SPEC.env)
    with LinkServer(hub, "127.0.0.1", 0) as server:
        link = LearnerLink(settings(server.port), handshake()).__enter__()
    wait_until(lambda: "Connect call failed" in caplog.text)
    link.close(flush_s=0.0)
    said = r"no learner at ws://.*Trying again until \d\d:\d\d:\d\d.*--resume.*Ctrl\+C"
    assert re.search(said, caplog.text)


def test_a_learner_that_stays_away_ends_the_actor_s_patience(journal: TransitionJournal):
    hub = LearnerHub(journal, SPEC.env)
    hub.grant(100)
    with LinkServer(hub, "127.0.0.1", 0) as server:
        link = LearnerLink(settings(server.port, give_up_s=0.3), handshake()).__enter__()
        assert link.may_step(10.0)
    link.send(transition(0))
    with pytest.raises(LinkUnavailable, match="1 transitions are not stored"):
        link.flush(30.0)
    link.close()


@pytest.mark.parametrize(
    "space",
    [
        gym.spaces.Box(-1.0, 1.0, (4,)),
        gym.spaces.Box(np.array([-1, -np.inf, 0], np.float32), np.array([1, 2, np.inf], np.float32)),
        gym.spaces.Dict(
            {"state": gym.spaces.Box(-np.inf, np.inf, (7,)), "image": gym.spaces.Box(0, 255, (8, 8, 3), np.uint8)}
        ),
    ],
)
def test_spaces_survive_the_wire(space: gym.Space):
    spec = spec_of(space)
    assert build_space(type(spec).model_validate_json(spec.model_dump_json())) == space
