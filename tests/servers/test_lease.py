"""The lease of control: at most one client has it, and keeps it by commanding."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import robotkit as rk
from robotkit.drivers.fake import ManualClock
from servers.access import Client
from servers.lease import ControlLease


@pytest.fixture
def time() -> ManualClock:
    return ManualClock()


@pytest.fixture
def lease(time: ManualClock) -> ControlLease:
    return ControlLease(1.0, time.now_s)


def _client(name: str) -> Client:
    return Client(f"key of {name}", name)


A, B = _client("a"), _client("b")


@contextmanager
def acquire_control(lease: ControlLease, client: Client) -> Iterator[None]:
    """A command that has begun."""
    with lease.control(client) as begin:
        begin(False)
        yield


def _command(lease: ControlLease, client: Client) -> None:
    with acquire_control(lease, client):
        pass


@pytest.mark.parametrize(
    ("failure", "renews"),
    [
        (rk.RobotStopped("a stop is latched"), False),
        (rk.DeviceFault("in a fault"), False),
        (rk.StepTooLarge("too far"), True),
        (rk.MotionFailed("a stop came"), True),
    ],
)
def test_b9_a_command_that_a_stopped_or_faulty_robot_refuses_renews_nothing(
    lease: ControlLease, time: ManualClock, failure: rk.RobotkitError, renews: bool
) -> None:
    _command(lease, A)
    for _ in range(2):
        time.advance(0.7)
        with pytest.raises(type(failure)), acquire_control(lease, A):
            raise failure
    assert lease.holder == (A if renews else None)
    if not renews:
        _command(lease, B)
        assert lease.holder == B


def test_the_first_to_command_has_control_and_keeps_it_by_commanding(lease: ControlLease, time: ManualClock) -> None:
    assert lease.holder is None
    for _ in range(5):
        _command(lease, A)
        time.advance(0.9)
    with pytest.raises(rk.ControlHeld, match=r"another client \(a\)"):
        _command(lease, B)
    assert lease.holder == A


def test_silence_ends_control(lease: ControlLease, time: ManualClock) -> None:
    _command(lease, A)
    time.advance(1.0)
    assert lease.holder is None
    _command(lease, B)
    with pytest.raises(rk.ControlHeld):
        _command(lease, A)


def test_a_command_that_lasts_keeps_control(lease: ControlLease, time: ManualClock) -> None:
    with acquire_control(lease, A):
        time.advance(60.0)
        with pytest.raises(rk.ControlHeld):
            _command(lease, B)
        assert lease.holder == A
    time.advance(0.5)
    assert lease.holder == A


def test_b9_control_that_is_given_up_during_a_command_ends_with_it(lease: ControlLease) -> None:
    with acquire_control(lease, A):
        assert lease.release(A)
        with pytest.raises(rk.ControlHeld):
            _command(lease, B)
    assert lease.holder is None
    _command(lease, B)
    assert lease.holder == B


def test_b9_a_command_after_giving_control_up_takes_it_again(lease: ControlLease) -> None:
    with acquire_control(lease, A):
        assert lease.release(A)
        _command(lease, A)
    assert lease.holder == A


def test_only_the_holder_can_release(lease: ControlLease) -> None:
    _command(lease, A)
    assert not lease.release(B)
    assert lease.release(A)
    _command(lease, B)
    assert lease.holder == B


def test_a_command_that_fails_gives_nothing_up(lease: ControlLease) -> None:
    with pytest.raises(rk.OutsideWorkspace), acquire_control(lease, A):
        raise rk.OutsideWorkspace("no")
    assert lease.holder == A


def test_b9_a_command_that_was_refused_before_it_began_takes_nothing_and_nobody_hears_of_it(time: ManualClock) -> None:
    changes: list[tuple[Client, Client | None]] = []
    lease = ControlLease(1.0, time.now_s, on_taken=lambda *change: changes.append(change))
    for _ in range(3):
        with pytest.raises(rk.Busy), lease.control(A):
            raise rk.Busy("its turn did not come")
        assert lease.holder is None
    _command(lease, B)
    assert lease.holder == B
    assert changes == [(B, None)]


def test_b9_a_command_that_was_refused_before_it_began_renews_nothing(lease: ControlLease, time: ManualClock) -> None:
    _command(lease, A)
    for _ in range(2):
        time.advance(0.6)
        with pytest.raises(rk.Busy), lease.control(A):
            raise rk.Busy("its turn did not come")
    assert lease.holder is None
    _command(lease, B)


def test_b9_of_commands_that_wait_together_the_first_to_begin_takes_control(time: ManualClock) -> None:
    changes: list[tuple[Client, Client | None]] = []
    lease = ControlLease(1.0, time.now_s, on_taken=lambda *change: changes.append(change))
    _command(lease, B)
    time.advance(2.0)
    with lease.control(A) as begin:
        with pytest.raises(rk.Busy), lease.control(A):
            raise rk.Busy("its turn did not come")
        assert changes == [(B, None)]
        _command(lease, A)
        with pytest.raises(rk.ControlHeld):
            _command(lease, B)
        begin(False)
    assert changes == [(B, None), (A, B)]


def test_b9_the_change_of_control_is_told_once_with_the_holder_before(time: ManualClock) -> None:
    changes: list[tuple[Client, Client | None]] = []
    lease = ControlLease(1.0, time.now_s, on_taken=lambda *change: changes.append(change))
    assert lease.held_for_s is None
    for _ in range(3):
        _command(lease, A)
        time.advance(0.5)
    assert lease.held_for_s == 1.5
    with pytest.raises(rk.ControlHeld):
        _command(lease, B)
    time.advance(5.0)
    assert lease.held_for_s is None
    _command(lease, A)
    lease.release(A)
    _command(lease, B)
    assert changes == [(A, None), (A, A), (B, None)]


def test_of_many_at_once_exactly_one_wins() -> None:
    lease, barrier, refused = ControlLease(10.0), threading.Barrier(8), []

    def compete(name: str) -> None:
        barrier.wait()
        try:
            _command(lease, _client(name))
        except rk.ControlHeld:
            refused.append(_client(name))

    threads = [threading.Thread(target=compete, args=(str(i),)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 7
    assert lease.holder not in refused


def test_f4_who_is_refused_by_a_stopped_robot_has_no_control_after_another_has_given_it_up(time: ManualClock) -> None:
    lease = ControlLease(1.0, time.now_s)
    for gives_up_in_a_command in (False, True):
        with acquire_control(lease, A):
            if gives_up_in_a_command:
                assert lease.release(A)
        if not gives_up_in_a_command:
            assert lease.release(A)
        with pytest.raises(rk.RobotStopped), acquire_control(lease, B):
            raise rk.RobotStopped("a stop is latched")
        assert lease.holder is None
        with pytest.raises(rk.Busy), lease.control(B):
            raise rk.Busy("before it began")
        assert lease.holder is None
