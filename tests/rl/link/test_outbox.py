"""Laws of the actor's queue: numbers have no holes, nothing is forgotten before it is acknowledged."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl.errors import ConfigError, LinkProtocolError
from rl.link.outbox import Outbox


def numbers(first: int, count: int) -> list[int]:
    return list(range(first, first + count))


def fill(outbox: Outbox, count: int, start: int = 0) -> None:
    for number in range(start, start + count):
        outbox.put({"rewards": np.float32(number)})


actions = st.lists(st.tuples(st.sampled_from(["put", "take", "ack", "rewind"]), st.integers(1, 7)), max_size=60)


@given(actions, st.integers(2, 9))
def test_a_receiver_that_acknowledges_whatever_it_likes_gets_every_number_once(script, capacity):
    """Model: the receiver keeps what continues its list; a resend starts right after what it keeps."""
    outbox, received, put, acknowledged = Outbox(capacity, "wait"), [], 0, -1
    for action, count in script:
        if action == "put":
            count = min(count, capacity - len(outbox))
            fill(outbox, count, put)
            put += count
        elif action == "take" and (chunk := outbox.take(count)):
            assert chunk.first_sequence <= len(received)
            fresh = chunk.transitions["rewards"][len(received) - chunk.first_sequence :]
            received += fresh.astype(int).tolist()
        elif action == "ack":
            acknowledged = len(received) - 1
            outbox.acknowledge(acknowledged)
        elif action == "rewind":
            outbox.rewind(len(received) - 1)
        assert received == list(range(len(received)))
        assert outbox.next_sequence == put


@given(st.lists(st.tuples(st.sampled_from(["put", "take", "ack"]), st.integers(1, 5)), max_size=60))
def test_dropping_leaves_no_hole_in_the_numbers_and_marks_each_gap(script):
    outbox, put, following = Outbox(4, "drop_oldest"), 0, 0
    received: list[int] = []
    for action, count in script:
        if action == "put":
            fill(outbox, count, put)
            put += count
        elif action == "take" and (chunk := outbox.take(count)):
            rewards = chunk.transitions["rewards"].astype(int).tolist()
            assert chunk.first_sequence == following
            assert rewards == numbers(rewards[0], len(rewards)), "a gap inside a chunk"
            assert chunk.follows_gap == (rewards[0] != (received[-1] + 1 if received else 0))
            following += len(chunk)
            received += rewards
        elif action == "ack":
            outbox.acknowledge(following - 1)
    assert put == len(received) + outbox.dropped + len(outbox) - (following - outbox.next_sequence + len(outbox))


def test_a_full_queue_makes_a_simulation_wait_until_there_is_room():
    outbox = Outbox(2, "wait")
    fill(outbox, 2)
    putter = threading.Thread(target=fill, args=(outbox, 1, 2))
    putter.start()
    putter.join(0.05)
    assert putter.is_alive()
    outbox.take(1)
    outbox.acknowledge(0)
    putter.join(5.0)
    assert not putter.is_alive()
    assert outbox.next_sequence == 3


def test_a_queue_that_closes_lets_a_simulation_go_on_over_its_capacity():
    outbox = Outbox(2, "wait")
    fill(outbox, 2)
    putter = threading.Thread(target=fill, args=(outbox, 2, 2), daemon=True)
    putter.start()
    outbox.close()
    putter.join(30.0)
    assert not putter.is_alive()
    assert outbox.next_sequence == 4


def test_it_refuses_a_learner_that_lost_what_it_had_acknowledged():
    outbox = Outbox(10, "wait")
    fill(outbox, 5)
    outbox.take(5)
    outbox.acknowledge(3)
    with pytest.raises(LinkProtocolError, match="journal was replaced"):
        outbox.rewind(1)


def test_it_refuses_an_acknowledgement_of_what_was_never_sent():
    outbox = Outbox(10, "wait")
    fill(outbox, 2)
    with pytest.raises(LinkProtocolError, match="never sent"):
        outbox.acknowledge(0)


def test_a_queue_without_room_is_refused():
    with pytest.raises(ConfigError, match="at least 2"):
        Outbox(1, "wait")


def test_drops_are_told_at_the_first_and_at_every_thousandth(caplog: pytest.LogCaptureFixture):
    outbox = Outbox(2, "drop_oldest")
    fill(outbox, 2 + 2001)
    assert [record.getMessage() for record in caplog.records] == [
        f"dropped {count} transitions: the learner is away or too slow" for count in (1, 1000, 2000)
    ]
