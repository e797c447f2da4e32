"""Laws of the frames in a row that the reward classifiers of `envs` wait for."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.wrappers import (
    BinaryRewardClassifier,
    MultiStageRewardClassifier,
    NWayRewardClassifier,
    TaskGraphRewardClassifier,
)
from tests.support.judged_frames import Script, logits, paid_by_rule, run_episode

PASSES = st.lists(st.booleans(), min_size=1, max_size=30)
FRAMES = st.integers(1, 4)


def binary(env, **options):
    return BinaryRewardClassifier(env, lambda shown: shown, **options)


def n_way(env, **options):
    return NWayRewardClassifier(env, lambda shown: [0.0, shown[0]], 1, **options)


def graph(env, **options):
    return TaskGraphRewardClassifier(env, {0: lambda shown: shown}, **options)


def stages(env, **options):
    return MultiStageRewardClassifier(env, [lambda shown: shown], **options)


BUILDERS = pytest.mark.parametrize("build", [binary, n_way, graph])


@BUILDERS
@given(passes=PASSES, frames=FRAMES)
def test_a_step_is_paid_when_so_many_in_a_row_have_passed(build, passes, frames):
    steps = run_episode(build(Script(logits(passes)), positive_frames=frames, terminates=False))
    law = paid_by_rule(passes, frames)
    assert [reward for reward, *_ in steps] == [float(paid) for paid in law]
    assert [info["success"] for *_, info in steps] == [info["is_success"] for *_, info in steps] == law
    assert sum(law) <= sum(passes), "never more often than by one frame"
    assert frames > 1 or law == passes


@BUILDERS
@given(passes=PASSES, frames=FRAMES)
def test_the_first_payment_ends_the_episode_and_what_cuts_it_before_is_no_success(build, passes, frames):
    steps = run_episode(build(Script(logits(passes)), positive_frames=frames))
    law = paid_by_rule(passes, frames)
    ended = law.index(True) + 1 if any(law) else len(passes)
    assert len(steps) == ended
    reward, terminated, _, info = steps[-1]
    assert (reward, terminated, info["success"]) == (float(any(law)), any(law), any(law))
    assert not any(terminated for _, terminated, _, _ in steps[:-1])


@pytest.mark.parametrize("build", [binary, n_way, graph, stages])
def test_a_torn_step_neither_counts_nor_pays(build):
    """Nothing is learned from it: a payment would be lost with it."""
    steps = run_episode(build(Script(logits([True] * 4), torn=[1]), positive_frames=2))
    assert [(reward, terminated) for reward, terminated, *_ in steps] == [(0.0, False), (0.0, False), (1.0, True)]
    reward, terminated, truncated, info = run_episode(build(Script(logits([True]), torn=[0]), positive_frames=1))[-1]
    assert (reward, terminated, truncated, info["success"]) == (0.0, False, True, False)


@BUILDERS
def test_an_episode_begins_without_the_frames_of_the_one_before(build):
    env = build(Script(logits([True])))
    for _ in range(3):
        ((reward, terminated, truncated, info),) = run_episode(env)
        assert (reward, terminated, truncated, info["positive_frames"]) == (0.0, False, True, 1)


@pytest.mark.parametrize(
    ("hold_s", "steps_hz", "frames"), [(0.5, 10, 6), (0.3, 10, 4), (0.25, 10, 4), (0.02, 10, 2), (1.0, 50, 51)]
)
def test_a_time_is_counted_in_control_periods(hold_s, steps_hz, frames):
    """The last frame is that time or more after the first, and the one before is not."""
    steps = run_episode(binary(Script([5.0] * 60, steps_hz=steps_hz), hold_s=hold_s))
    assert len(steps) == frames == max(2, math.ceil(hold_s * steps_hz) + 1)


@given(passes=PASSES, frames=FRAMES)
def test_a_stage_is_achieved_by_frames_in_a_row_too(passes, frames):
    env = MultiStageRewardClassifier(Script(logits(passes)), [lambda shown: shown], positive_frames=frames)
    law = paid_by_rule(passes, frames)
    assert [reward for reward, *_ in run_episode(env)] == [
        float(paid) for paid in law[: law.index(True) + 1 if any(law) else None]
    ]
