"""What repeats: the first is a line at once, what follows within a second is counted, nothing is lost or unbounded."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from servers.events import Event, EventKind
from servers.repeats import ALL_SORTS_MAX, SORTS_MAX, Line, Repeats

START = datetime(2026, 1, 2, tzinfo=UTC)
STOP = Event("stop", "a stop was asked for from 10.0.0.1", "anna")
REFUSED = Event("refused", "1 m is too far", "anna", "10.0.0.1", "step_too_large")


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@pytest.fixture
def repeats() -> Repeats:
    return Repeats()


@pytest.mark.parametrize("event", [STOP, REFUSED])
def test_the_first_is_a_line_at_once_and_those_within_a_second_are_one_more(repeats: Repeats, event: Event) -> None:
    assert repeats.add(at(0.0), event) == [Line(at(0.0), event, 1)]
    for seconds in (0.1, 0.5, 0.9):
        assert repeats.add(at(seconds), event) == []
    assert repeats.add(at(1.0), Event("hold")) == [Line(at(0.9), event, 3), Line(at(1.0), Event("hold"), 1)]
    assert repeats.flush() == []


def test_a_flood_is_one_line_a_second_and_each_of_it_is_counted(repeats: Repeats) -> None:
    lines = [line for index in range(5000) for line in repeats.add(at(index / 1000), STOP)]
    assert len(lines) == 5
    assert [line.event for line in lines] == [STOP] * 5
    assert sum(line.times for line in lines + repeats.flush()) == 5000


def test_after_a_second_without_its_like_an_event_is_a_line_at_once(repeats: Repeats) -> None:
    for seconds in (0.0, 1.0, 2.5):
        assert repeats.add(at(seconds), STOP) == [Line(at(seconds), STOP, 1)]


def test_of_a_sentence_that_changes_the_newest_is_kept(repeats: Repeats) -> None:
    newest = Event("refused", "2 m is too far", "anna", "10.0.0.1", "step_too_large")
    repeats.add(at(0.0), REFUSED)
    repeats.add(at(0.1), REFUSED)
    repeats.add(at(0.2), newest)
    assert repeats.flush() == [Line(at(0.2), newest, 2)]


@pytest.mark.parametrize(
    "other",
    [
        Event("refused", "1 m is too far", "bert", "10.0.0.1", "step_too_large"),
        Event("refused", "1 m is too far", "anna", "10.0.0.2", "step_too_large"),
        Event("refused", "1 m is too far", "anna", "10.0.0.1", "busy"),
        Event("recover_failed", "1 m is too far", "anna", "10.0.0.1", "step_too_large"),
        Event("unauthorized", "1 m is too far", "anna", "10.0.0.1", "step_too_large"),
    ],
)
def test_who_asked_for_what_from_where_is_never_taken_for_another(repeats: Repeats, other: Event) -> None:
    repeats.add(at(0.0), REFUSED)
    assert repeats.add(at(0.1), other) == [Line(at(0.1), other, 1)]
    assert repeats.add(at(0.2), other) == []


def test_a_stop_from_another_address_is_a_line_of_its_own(repeats: Repeats) -> None:
    other = Event("stop", "a stop was asked for from 10.0.0.2", "anna")
    repeats.add(at(0.0), STOP)
    assert repeats.add(at(0.1), other) == [Line(at(0.1), other, 1)]


def test_a_stop_after_a_recovery_repeats_nothing(repeats: Repeats) -> None:
    recovered = Event("recover", author="anna")
    repeats.add(at(0.0), STOP)
    repeats.add(at(0.1), STOP)
    repeats.add(at(0.1), REFUSED)
    assert repeats.add(at(0.2), recovered) == [Line(at(0.1), STOP, 1), Line(at(0.2), recovered, 1)]
    assert repeats.add(at(0.3), STOP) == [Line(at(0.3), STOP, 1)]
    assert repeats.add(at(0.3), REFUSED) == []


@pytest.mark.parametrize(
    "kinds", [("control_taken", "hold", "control_released"), ("recover",), ("fault",), ("stop", "recover")]
)
def test_f13_no_loop_of_requests_makes_more_than_a_line_a_second_of_each_kind(
    repeats: Repeats, kinds: tuple[EventKind, ...]
) -> None:
    events = [Event(kind, author="anna") for _ in range(1000) for kind in kinds]
    lines = [line for index, event in enumerate(events) for line in repeats.add(at(index * 4.0 / len(events)), event)]
    assert len(lines) <= 5 * len(kinds)
    rest = repeats.flush()
    assert sum(line.times for line in lines + rest) == len(events)
    assert (rest or lines)[-1].event.kind == kinds[-1]


def test_b9_a_flood_of_names_from_one_address_takes_no_other_its_name(repeats: Repeats) -> None:
    for index in range(1000):
        repeats.add(at(0.0), Event("refused", "no", f"name {index}", "10.0.0.9", "forbidden"))
    for event in (REFUSED, STOP, Event("recover_failed", "no", "bert", "10.0.0.9", "forbidden")):
        assert repeats.add(at(0.1), event) == [Line(at(0.1), event, 1)]


def test_b9_names_from_many_addresses_make_no_memory(repeats: Repeats) -> None:
    lines = [
        line
        for index in range(2000)
        for line in repeats.add(
            at(0.0), Event("refused", "no", f"name {index}", f"10.0.{index // 250}.{index % 250}", "")
        )
    ]
    assert len(lines) == len(repeats._sorts) == ALL_SORTS_MAX + 1
    assert (lines[-1].event.author, lines[-1].event.address) == ("many clients", "")


def test_f13_b9_a_flood_from_many_addresses_takes_no_event_of_another_kind_its_name(repeats: Repeats) -> None:
    for index in range(2 * ALL_SORTS_MAX):
        address = f"10.0.{index // 250}.{index % 250}"
        repeats.add(at(0.0), Event("unauthorized", "no token", "", address, "unauthorized"))
    for event in (
        STOP,
        REFUSED,
        Event("recover", "", "anna", "10.0.0.1"),
        Event("control_taken", "", "anna", "10.0.0.1"),
    ):
        assert repeats.add(at(0.1), event) == [Line(at(0.1), event, 1)]


def test_f13_b9_a_flood_of_the_same_kind_takes_no_weighty_event_its_name(repeats: Repeats) -> None:
    for index in range(2000):
        repeats.add(at(0.0), replace(STOP, author=f"name {index}", address=f"10.0.0.{index % 250}"))
    weighty = replace(STOP, author="shift lead", address="10.0.0.1", is_weighty=True)
    assert repeats.add(at(0.1), weighty) == [Line(at(0.1), weighty, 1)]


def test_what_was_counted_of_a_kind_is_counted_no_more_when_its_second_is_over(repeats: Repeats) -> None:
    for second in range(3):
        for index in range(SORTS_MAX):
            event = replace(STOP, author=f"name {second} {index}", address="10.0.0.1")
            assert repeats.add(at(2.0 * second), event) == [Line(at(2.0 * second), event, 1)]
    repeats.flush()
    assert not repeats._counts


@pytest.mark.parametrize("kind", ["server_start", "server_stop"])
def test_what_no_client_can_bring_about_is_always_a_line(repeats: Repeats, kind: EventKind) -> None:
    for _ in range(3):
        assert repeats.add(at(0.0), Event(kind)) == [Line(at(0.0), Event(kind), 1)]


@pytest.mark.parametrize("event", [STOP, REFUSED])
def test_whoever_changes_its_name_each_time_makes_few_lines_and_no_memory(repeats: Repeats, event: Event) -> None:
    named = [Event(event.kind, event.message, f"name {index}", event.address, event.code) for index in range(1000)]
    lines = [line for index, one in enumerate(named) for line in repeats.add(at(index / 2000), one)]
    assert len(lines) == SORTS_MAX + 1
    assert [line.event.author for line in lines[:SORTS_MAX]] == [one.author for one in named[:SORTS_MAX]]
    assert (lines[-1].event.author, lines[-1].event.address) == ("many clients", event.address)
    assert len(repeats._sorts) == SORTS_MAX + 1
    assert sum(line.times for line in lines + repeats.flush()) == 1000


def test_a_clock_that_is_set_back_holds_nothing_back(repeats: Repeats) -> None:
    repeats.add(at(0.0), STOP)
    repeats.add(at(0.1), STOP)
    assert repeats.add(at(-3600.0), Event("hold"))[0] == Line(at(0.1), STOP, 1)


def test_what_is_due_of_each_sort_is_told_at_once(repeats: Repeats) -> None:
    for seconds in (0.0, 0.5):
        for event in (STOP, REFUSED):
            repeats.add(at(seconds), event)
    lines = repeats.add(at(1.5), Event("hold"))
    assert [line.event for line in lines] == [STOP, REFUSED, Event("hold")]
