"""Laws of the pace (who may go on) and of the way from the journal into the replay buffer."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl.data.journal import TransitionJournal
from rl.data.replay_buffer import ReplayBuffer
from rl.training.replay_loader import ReplayLoader
from rl.training.update_schedule import Schedule
from tests.rl.link.conftest import transition

schedules = st.builds(
    lambda starts, pace, lead, extra: Schedule(starts + extra, starts, pace, int(pace + 1) + lead),
    st.integers(1, 50),
    st.sampled_from([0.5, 1.0, 2.5, 8.0]),
    st.integers(0, 30),
    st.integers(0, 60),
)


@given(schedules, st.randoms(use_true_random=False))
def test_a_paced_run_always_ends_with_the_same_number_of_updates(schedule: Schedule, chance):
    """Whatever the order in which the two sides get to run, neither waits for the other for ever."""
    env_steps = updates = 0
    while not schedule.is_done(env_steps, updates):
        can_step = env_steps < schedule.steps_allowed(updates)
        can_update = schedule.may_update(env_steps, updates)
        assert can_step or can_update, "both wait"
        if can_step and (not can_update or chance.random() < 0.5):
            env_steps += 1
        else:
            updates += 1
        assert updates <= max(0.0, (env_steps - schedule.training_starts) / schedule.env_steps_per_update)
    assert env_steps == schedule.steps
    assert updates == (schedule.steps - schedule.training_starts) // schedule.env_steps_per_update


def test_a_free_run_lets_both_sides_go():
    schedule = Schedule(steps=100, training_starts=10, env_steps_per_update=None, max_lead=None)
    assert schedule.steps_allowed(0) == 100
    assert not schedule.may_update(9, 0)
    assert schedule.may_update(10, 10**6)
    assert not schedule.is_done(100, 0), "no policy comes of steps alone"
    assert schedule.is_done(100, 1)


@given(schedules, st.integers(0, 200), st.integers(0, 400))
def test_a_run_that_had_another_pace_goes_on_from_where_it_is(schedule: Schedule, env_steps: int, updates: int):
    ratio, env_steps = schedule.env_steps_per_update, min(env_steps, schedule.steps)
    going_on = schedule.continued_at(env_steps, updates)
    behind = going_on.updates_due(env_steps) - updates
    assert 0 <= behind <= max(1.0, 1.0 / ratio), "neither a burst of updates nor none for long"
    later = max(env_steps, schedule.training_starts) + 10 * ratio
    if later <= schedule.steps:
        assert abs(going_on.updates_due(later) - updates - 10) <= max(1.0, 1.0 / ratio)


@given(schedules, st.integers(0, 200))
def test_a_run_in_step_keeps_its_schedule(schedule: Schedule, env_steps: int):
    assert schedule.continued_at(env_steps, int(schedule.updates_due(env_steps))) is schedule


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[TransitionJournal]:
    with TransitionJournal(tmp_path / "journal.sqlite") as opened:
        yield opened


@pytest.fixture
def replay() -> ReplayBuffer:
    box = gym.spaces.Box(-np.inf, np.inf, (3,))
    return ReplayBuffer(box, gym.spaces.Box(-1.0, 1.0, (2,)), 100, seed=0)


def block(*numbers: int) -> dict[str, np.ndarray]:
    rows = [transition(number) for number in numbers]
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def contents(replay: ReplayBuffer) -> list[tuple[float, float]]:
    """First observation and reward of each transition."""
    batch = replay.sample(len(replay), indices=np.arange(len(replay)))
    return [(float(o[0]), float(r)) for o, r in zip(batch["observations"], batch["rewards"], strict=True)]


def test_one_step_transitions_arrive_as_they_are_and_once(journal: TransitionJournal, replay: ReplayBuffer):
    loader = ReplayLoader(journal, replay, 1, 0.9)
    journal.append("arm/a", 0, block(0, 1))
    assert loader.poll() == 2
    journal.append("arm/a", 2, block(2))
    assert (loader.poll(), loader.poll()) == (3, 3)
    assert contents(replay) == [(0, 0), (1, 1), (2, 2)]


def test_actors_do_not_mix_in_one_return(journal: TransitionJournal, replay: ReplayBuffer):
    loader = ReplayLoader(journal, replay, 2, 1.0)
    journal.append("one/a", 0, block(1, 2))
    journal.append("two/a", 0, block(10, 20))
    journal.append("one/a", 2, block(3))
    loader.poll()
    assert contents(replay) == [(1, 3), (10, 30), (2, 5)]


def test_a_torn_trajectory_ends_as_at_a_truncation(journal: TransitionJournal, replay: ReplayBuffer):
    """A new attempt and a gap both tear it: no return may reach across."""
    loader = ReplayLoader(journal, replay, 3, 1.0)
    journal.append("arm/a", 0, block(1, 2))
    journal.append("arm/b", 0, block(5, 6))
    journal.append("arm/b", 2, block(9), {"follows_gap": True})
    loader.poll()
    assert contents(replay) == [(1, 3), (2, 2), (5, 11), (6, 6)]


def test_a_restart_reads_the_same_replay_from_the_journal(journal: TransitionJournal, replay: ReplayBuffer):
    loader = ReplayLoader(journal, replay, 2, 0.9)
    for first in range(0, 40, 4):
        journal.append("arm/a", first, block(*range(first, first + 4)))
        loader.poll()
    again = ReplayBuffer(gym.spaces.Box(-np.inf, np.inf, (3,)), gym.spaces.Box(-1.0, 1.0, (2,)), 100, seed=0)
    ReplayLoader(journal, again, 2, 0.9).poll()
    assert contents(again) == contents(replay)


def test_l16_the_first_deletion_of_a_run_is_told_once_with_what_keeps_everything(
    journal: TransitionJournal, replay: ReplayBuffer, caplog: pytest.LogCaptureFixture
):
    loader = ReplayLoader(journal, replay, 1, 0.9, forget=journal.forget)
    with caplog.at_level(logging.INFO, "rl.training.retention"):
        for first in range(0, 400, 4):
            assert (journal.begin > 0) == bool(caplog.records)
            journal.append("arm/a", first, block(*range(first, first + 4)))
            loader.poll()
    assert journal.begin > 250
    (told,) = caplog.messages
    assert "deleted from disk too" in told
    assert "keep_all keeps them" in told
