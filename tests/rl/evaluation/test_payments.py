"""Laws of what is mined: the first payment of every episode, and exactly those that the rule names as doubtful."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl.data.journal import Block
from rl.errors import DataError
from rl.evaluation.payments import SHORT, TAKEOVER_AFTER, TAKEOVER_BEFORE, PaidFrames, find_payments

SIDE = 2
KEPT = PaidFrames(("front",), SIDE, 2)


@dataclass
class Step:
    """One transition of a script; its image shows its number."""

    paid: bool = False
    steered: bool = False
    done: bool = False


def to_blocks(steps, cuts, actor="a", first_row=0, gaps=()):
    """The steps as a journal gives them, in blocks that are cut anywhere."""
    bounds = sorted({0, len(steps), *(cut for cut in cuts if cut < len(steps)), *gaps})
    for start, stop in pairwise(bounds):
        part = steps[start:stop]
        shown = np.arange(first_row + start, first_row + stop, dtype=np.uint8)
        images = np.broadcast_to(shown[:, None, None, None, None], (len(part), 1, SIDE, SIDE, 3))
        rows = {
            "next_observations": {"front": images, "state": np.zeros((len(part), 1), np.float32)},
            "rewards": np.array([float(one.paid) for one in part], np.float32),
            "dones": np.array([float(one.done) for one in part], np.float32),
            "is_intervention": np.array([float(one.steered) for one in part], np.float32),
        }
        yield Block(first_row + stop, actor, start, rows, {"follows_gap": True} if start in gaps else None)


def by_hand(steps, window, least):
    """The reasons against the first payment of each episode, by the step at which it was paid."""
    found, begin = {}, 0
    ends = [number for number, step in enumerate(steps) if step.done] + [len(steps) - 1]
    for end in ends:
        episode = steps[begin : end + 1]
        paid = [number for number, step in enumerate(episode) if step.paid]
        takeovers = [
            number
            for number, step in enumerate(episode)
            if step.steered and (number == 0 or not episode[number - 1].steered)
        ]
        if paid:
            at = paid[0]
            found[begin + at + 1] = {
                SHORT: at + 1 < least,
                TAKEOVER_BEFORE: any(0 <= at - takeover < window for takeover in takeovers),
                TAKEOVER_AFTER: any(0 < takeover - at <= window for takeover in takeovers),
            }
        begin = end + 1
    return {row: tuple(name for name, holds in reasons.items() if holds) for row, reasons in found.items()}


STEPS = st.lists(st.builds(Step, st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=60)


@given(STEPS, st.sets(st.integers(1, 59), max_size=8), st.integers(0, 5), st.integers(0, 6))
def test_what_is_doubtful_is_what_the_rule_names_wherever_blocks_are_cut(steps, cuts, window, least):
    found = list(find_payments(to_blocks(steps, cuts), KEPT, window))
    assert {one.row: one.reasons(least) for one in found} == by_hand(steps, window, least)


@given(STEPS, st.sets(st.integers(1, 59), max_size=8))
def test_the_frames_are_those_up_to_the_payment_and_of_its_episode(steps, cuts):
    for payment in find_payments(to_blocks(steps, cuts), KEPT, 0):
        assert payment.length is not None
        shown = [int(frame["front"].max()) for frame in payment.frames]
        assert shown == list(range(payment.row - min(2, payment.length), payment.row))


@given(STEPS, STEPS, st.sets(st.integers(1, 59), max_size=5))
def test_actors_do_not_mix(ours, theirs, cuts):
    apart = [
        {(one.length, one.follows_takeover) for one in find_payments(to_blocks(steps, cuts), KEPT, 3)}
        for steps in (ours, theirs)
    ]
    pairs = zip(to_blocks(ours, cuts, "a"), to_blocks(theirs, cuts, "b", 100), strict=False)
    both = [block for pair in pairs for block in pair]
    found = {(one.length, one.follows_takeover) for one in find_payments(both, KEPT, 3)}
    assert found <= apart[0] | apart[1]


def test_where_a_step_is_missing_no_length_is_known_and_nothing_is_short():
    """After a torn step, and after transitions that the run has forgotten."""
    steps = [Step(), Step(), Step(paid=True, done=True), Step(paid=True, done=True)]
    torn = list(find_payments(to_blocks(steps, (), gaps=(2,)), KEPT, 0))
    assert [one.length for one in torn] == [None, 1]
    assert [one.reasons(100) for one in torn] == [(), (SHORT,)]
    forgotten = list(to_blocks(steps, (1,)))[1:]
    assert [one.length for one in find_payments(forgotten, KEPT, 0)] == [None, 1]


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (PaidFrames(("wrist",), SIDE, 1), "no images of wrist.*it kept: front, state"),
        (PaidFrames(("front",), SIDE + 1, 1), "images of 2 pixels of front, and the classifier looks at 3"),
    ],
)
def test_a_run_that_kept_no_such_images_is_refused(kept, message):
    with pytest.raises(DataError, match=message):
        list(find_payments(to_blocks([Step(paid=True)], ()), kept, 0))
