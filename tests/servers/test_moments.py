"""Laws of `Moments`: which holds are one client's own, what a client has seen with them, and what names a moment."""

from __future__ import annotations

import pytest

import robotkit as rk
from robotkit.devices.machine import ArmMachine, Moment
from robotkit.safety import SafeRobot
from servers.access import Client
from servers.seen import Moments, OwnHolds, moment_of, seen_with

A, B = Client("key of a", "a"), Client("key of b", "b")


def _machine(cell: rk.Workcell) -> ArmMachine:
    assert isinstance(cell.robot, SafeRobot)
    return cell.robot.machine


@pytest.fixture
def cell() -> rk.Workcell:
    return rk.make_workcell("fake")


def test_holds_are_a_clients_own_until_anybody_elses_comes(cell: rk.Workcell) -> None:
    moments = Moments(cell.robot)
    assert moments.newest_holds_of(A) is None
    assert moments.note_hold_of(A) == (A, 1, 1)
    assert moments.note_hold_of(A) == (A, 1, 2)
    assert moments.newest_holds_of(A) == (A, 1, 2)
    assert moments.newest_holds_of(B) is None
    _machine(cell).note_hold()
    assert moments.note_hold_of(A) == (A, 4, 4), "the third was asked for by no client"
    assert moments.note_hold_of(B) == (B, 5, 5)
    assert moments.note_hold_of(A) == (A, 6, 6)


def test_no_other_hold_comes_between_the_number_of_one_and_its_note(
    cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments, locked = Moments(cell.robot), []
    monkeypatch.setattr(_machine(cell), "note_hold", lambda: locked.append(moments._noting.locked()) or len(locked))
    moments.note_hold_of(A)
    assert locked == [True]
    assert not moments._noting.locked()


@pytest.mark.parametrize(
    ("holds_seen", "first", "newest", "seen"), [(2, 3, 4, 4), (3, 3, 4, 4), (7, 3, 4, 7), (1, 3, 4, None)]
)
def test_with_its_own_holds_a_client_has_seen_no_holds_of_others(
    holds_seen: int, first: int, newest: int, seen: int | None
) -> None:
    told = seen_with(OwnHolds(A, first, newest), Moment(5, 1, holds_seen))
    assert told == (None if seen is None else Moment(5, 1, seen))


@pytest.mark.parametrize(
    ("more", "is_one"),
    [
        ((0, 0, 0), True), ((0, 1, 0), True), ((0, 0, 1), True),
        ((0, 1, 1), False), ((0, 0, 2), False), ((0, 2, 0), False), ((1, 0, 0), False),
    ],
)  # fmt: skip
def test_one_hold_or_one_recovery_is_all_that_may_have_come(
    cell: rk.Workcell, more: tuple[int, int, int], is_one: bool
) -> None:
    machine, moments = _machine(cell), Moments(cell.robot)
    before = moments.now
    machine.stops, machine.recoveries, machine.holds = more
    assert moments.only_one_since(before) == (Moment(*more) if is_one else None)
    assert moments.only_one_since(None) is None


@pytest.mark.parametrize(
    "text", ["", "1,2", "1,2,3,4", "1,2,-3", "1,2,x", "1,2,", "1,2,\u0663", "1,2," + "9" * 19, "1,2," + "9" * 5000]
)
def test_what_is_no_three_counts_names_no_moment(text: str) -> None:
    assert moment_of("1,0,999999999999999999") == Moment(1, 0, 10**18 - 1)
    with pytest.raises(rk.InvalidCommand, match="stops, recoveries and holds"):
        moment_of(text)
