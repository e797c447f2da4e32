"""What arrives is stored exactly once and in order, whatever happens to the connections."""

from __future__ import annotations

import json
import random
import socket
import threading
import time

import numpy as np
import pytest
from websockets.sync.client import connect

from rl.data.journal import TransitionJournal
from rl.errors import LinkProtocolError
from rl.link.client import LearnerLink
from rl.link.frames import Chunk, Weights
from rl.link.hub import LearnerHub
from rl.link.messages import Ack, Handshake, HandshakeReply, Heartbeat, Reject, parse_learner_message
from rl.link.server import LinkServer
from tests.support.waiting import wait_until

from .conftest import handshake, settings, stored, transition


class CuttingProxy:
    """A TCP proxy that breaks each connection after a random number of bytes, in the middle of a word."""

    def __init__(self, port: int, seed: int) -> None:
        self._target = port
        self._random = random.Random(seed)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.cuts = 0
        self.is_cutting = True
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._target))
            budget = [self._random.randint(300, 12_000)]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pipe, args=(source, sink, budget), daemon=True).start()

    def _pipe(self, source: socket.socket, sink: socket.socket, budget: list[int]) -> None:
        try:
            while data := source.recv(512):
                budget[0] -= len(data)
                if self.is_cutting and budget[0] < 0:
                    self.cuts += 1
                    break
                sink.sendall(data)
        except OSError:
            return
        finally:
            for end in (source, sink):
                with_shutdown(end)


def with_shutdown(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
    finally:
        end.close()


@pytest.mark.parametrize("seed", [0, 1])
def test_cut_connections_lose_and_double_nothing(server: LinkServer, journal: TransitionJournal, seed: int):
    proxy = CuttingProxy(server.port, seed)
    with LearnerLink(settings(proxy.port, max_chunk=20), handshake()) as link:
        sent = 0
        deadline = time.monotonic() + 60.0
        while sent < 600 or (link.reconnects <= 2 and time.monotonic() < deadline):
            link.send(transition(sent))
            sent += 1
            if sent % 20 == 0:
                time.sleep(0.005 if sent < 600 else 0.1)
        proxy.is_cutting = False
        assert link.flush(30.0)
        assert link.reconnects > 2
    proxy.close()
    assert proxy.cuts > 2
    assert stored(journal) == list(range(sent))


def test_a_restarted_learner_gets_the_rest(journal: TransitionJournal):
    """The server process goes and comes back on the same port with the same journal."""
    hub = LearnerHub(journal, "Numbers-v0")
    hub.grant(10**6)
    with LinkServer(hub, "127.0.0.1", 0) as first:
        port = first.port
        link = LearnerLink(settings(port), handshake()).__enter__()
        for number in range(50):
            link.send(transition(number))
        assert link.flush(10.0)
    for number in range(50, 100):
        link.send(transition(number))
    again = LearnerHub(journal, "Numbers-v0")
    again.grant(10**6)
    with LinkServer(again, "127.0.0.1", port):
        assert link.flush(10.0)
        link.close()
    assert stored(journal) == list(range(100))
    assert again.env_steps == 100


def test_a_restarted_actor_begins_at_zero_and_is_not_ignored(server: LinkServer, journal: TransitionJournal):
    """agentlace's A1: there, everything of a restarted actor was dropped until it passed its old number."""
    for attempt, count in (("first", 30), ("second", 10)):
        with LearnerLink(settings(server.port), handshake(attempt)) as link:
            for number in range(count):
                link.send(transition(number))
            assert link.flush(10.0)
    assert stored(journal, "arm/first") == list(range(30))
    assert stored(journal, "arm/second") == list(range(10))


def test_several_actors_share_one_learner(server: LinkServer, journal: TransitionJournal, hub: LearnerHub):
    links = [LearnerLink(settings(server.port), handshake("x", f"arm-{index}")) for index in range(3)]
    for link in links:
        link.__enter__()
    for number in range(100):
        for link in links:
            link.send(transition(number))
    for link in links:
        assert link.flush(10.0)
        link.close()
    for index in range(3):
        assert stored(journal, f"arm-{index}/x") == list(range(100))
    assert hub.env_steps == len(journal) == 300


def shake_hands(socket_, greeting: Handshake | None = None) -> HandshakeReply:
    socket_.send((greeting or handshake()).model_dump_json())
    reply = parse_learner_message(socket_.recv())
    assert isinstance(reply, HandshakeReply)
    return reply


def chunk(first: int, count: int) -> Chunk:
    rows = [transition(first + index) for index in range(count)]
    return Chunk(first, {name: np.stack([row[name] for row in rows]) for name in rows[0]})


def next_message(socket_, kind: type):
    """Skip to the next message of this kind."""
    while True:
        frame = socket_.recv(10.0)
        if isinstance(frame, str) and isinstance(message := parse_learner_message(frame), kind):
            return message


def wait_until_acknowledged(socket_, last_sequence: int) -> None:
    while next_message(socket_, Ack).last_sequence < last_sequence:
        pass


def test_duplicates_and_overlaps_are_dropped(server: LinkServer, journal: TransitionJournal):
    with connect(f"ws://127.0.0.1:{server.port}/v1/link", proxy=None) as raw:
        shake_hands(raw)
        for first, count in ((0, 10), (0, 10), (5, 10), (3, 2), (15, 5)):
            raw.send(chunk(first, count).to_bytes())
        wait_until_acknowledged(raw, 19)
    assert stored(journal) == list(range(20))


def is_refused(socket_) -> str:
    """Waits for the reject, and says why."""
    reject = next_message(socket_, Reject)
    assert reject.code == "link_protocol_error"
    return reject.message


def test_f16_a_second_connection_of_one_attempt_ends_the_first_and_their_data_do_not_mix(
    server: LinkServer, journal: TransitionJournal
):
    url = f"ws://127.0.0.1:{server.port}/v1/link"
    with connect(url, proxy=None) as first, connect(url, proxy=None) as second:
        shake_hands(first)
        first.send(chunk(0, 5).to_bytes())
        wait_until_acknowledged(first, 4)
        assert shake_hands(second).last_sequence == 4
        assert "has connected again" in is_refused(first)
        second.send(chunk(5, 5).to_bytes())
        wait_until_acknowledged(second, 9)
    assert stored(journal) == list(range(10))


def test_r5_a_newer_start_of_an_actor_ends_the_older_one_for_good(server: LinkServer, journal: TransitionJournal):
    url = f"ws://127.0.0.1:{server.port}/v1/link"
    with connect(url, proxy=None) as older, connect(url, proxy=None) as newer, connect(url, proxy=None) as again:
        shake_hands(older)
        shake_hands(newer, handshake("second"))
        assert "a newer start of actor 'arm'" in is_refused(older)
        newer.send(chunk(0, 3).to_bytes())
        wait_until_acknowledged(newer, 2)
        again.send(handshake().model_dump_json())
        answer = parse_learner_message(again.recv(10.0))
        assert isinstance(answer, Reject), "it is not even accepted"
        assert "a newer start" in answer.message
        newer.send(chunk(3, 3).to_bytes())
        wait_until_acknowledged(newer, 5)
    assert stored(journal, "arm/second") == list(range(6))
    assert stored(journal, "arm/first") == []


def test_r5_actors_of_other_names_and_evaluators_leave_each_other_alone(server: LinkServer):
    url = f"ws://127.0.0.1:{server.port}/v1/link"
    evaluator = handshake("third").model_copy(update={"role": "evaluator"})
    with connect(url, proxy=None) as one, connect(url, proxy=None) as two, connect(url, proxy=None) as three:
        shake_hands(one)
        shake_hands(two, handshake("second", "other"))
        shake_hands(three, evaluator)
        for peer in (one, two, three):
            peer.send(Heartbeat(weights_version=0, backlog=0, dropped=0).model_dump_json())
        one.send(chunk(0, 1).to_bytes())
        wait_until_acknowledged(one, 0)


def test_r5_a_program_whose_name_another_has_taken_ends_with_a_sentence(server: LinkServer):
    with (
        LearnerLink(settings(server.port), handshake()) as older,
        LearnerLink(settings(server.port), handshake("second")),
        pytest.raises(LinkProtocolError, match="a newer start of actor 'arm'"),
    ):
        wait_until(lambda: older.is_finished)


@pytest.mark.parametrize("shape", [(20_000, 20_000), (2**27,), (-3,), (1,) * 9])
def test_f16_spaces_that_fill_the_memory_or_make_no_sense_are_refused(server: LinkServer, shape: tuple[int, ...]):
    greeting = handshake().model_dump(mode="json")
    greeting["spec"]["observation"]["shape"] = shape
    with connect(f"ws://127.0.0.1:{server.port}/v1/link", proxy=None) as raw:
        raw.send(json.dumps(greeting))
        assert is_refused(raw)
    with connect(f"ws://127.0.0.1:{server.port}/v1/link", proxy=None) as raw:
        shake_hands(raw)


def test_f14_a_report_of_an_episode_without_its_return_ends_its_connection_and_nothing_else(
    server: LinkServer, hub: LearnerHub
):
    report = {"kind": "report", "topic": "episode", "weights_version": 1, "values": {"length": 3.0}}
    with connect(f"ws://127.0.0.1:{server.port}/v1/link", proxy=None) as raw:
        shake_hands(raw)
        raw.send(json.dumps(report))
        assert "`return`" in is_refused(raw)
    assert hub.take_reports() == []
    with LearnerLink(settings(server.port), handshake("second")) as link, pytest.raises(ValueError, match="`return`"):
        link.report("episode", {"length": 3.0})


def test_a_gap_is_refused_and_nothing_is_acknowledged_in_its_place(server: LinkServer, journal: TransitionJournal):
    with connect(f"ws://127.0.0.1:{server.port}/v1/link", proxy=None) as raw:
        shake_hands(raw)
        raw.send(chunk(0, 5).to_bytes())
        wait_until_acknowledged(raw, 4)
        raw.send(chunk(7, 5).to_bytes())
        assert next_message(raw, Reject).code == "sequence_gap"
    assert stored(journal) == list(range(5))


def test_a_damaged_frame_is_refused_and_stores_nothing(server: LinkServer, journal: TransitionJournal):
    frame = bytearray(chunk(0, 5).to_bytes())
    for position in (0, 5, len(frame) // 2, len(frame) - 1):
        damaged = bytes(frame[:position]) + bytes([frame[position] ^ 0x10]) + bytes(frame[position + 1 :])
        with connect(f"ws://127.0.0.1:{server.port}/v1/link", proxy=None) as raw:
            shake_hands(raw)
            raw.send(damaged)
            reject = next_message(raw, Reject)
            assert reject.code == "link_protocol_error"
            assert "damaged" in reject.message
    assert stored(journal) == []


def test_a_transition_that_is_not_a_number_is_refused(server: LinkServer, journal: TransitionJournal):
    bad = chunk(0, 5)
    bad.transitions["rewards"][2] = np.nan
    with connect(f"ws://127.0.0.1:{server.port}/v1/link", proxy=None) as raw:
        shake_hands(raw)
        raw.send(bad.to_bytes())
        assert next_message(raw, Reject).code == "schema_mismatch"
    assert stored(journal) == []


def test_a_gap_in_the_trajectory_is_remembered(server: LinkServer, journal: TransitionJournal):
    with connect(f"ws://127.0.0.1:{server.port}/v1/link", proxy=None) as raw:
        shake_hands(raw)
        raw.send(chunk(0, 3).to_bytes())
        raw.send(Chunk(3, chunk(7, 2).transitions, follows_gap=True).to_bytes())
        wait_until_acknowledged(raw, 4)
    assert [(block.first_sequence, block.info) for block in journal.blocks()][-1] == (3, {"follows_gap": True})


def test_frames_round_trip():
    weights = Weights(3, {"layer": np.arange(6, dtype=np.float32).reshape(2, 3)})
    back = Weights.from_bytes(weights.to_bytes())
    assert back.version == 3
    np.testing.assert_array_equal(back.policy["layer"], weights.policy["layer"])
    again = Chunk.from_bytes(chunk(4, 3).to_bytes())
    assert (again.first_sequence, len(again), again.follows_gap) == (4, 3, False)
