"""Demonstrations come back as they were shown, and only into the environment that they are for."""

import gymnasium as gym
import numpy as np
import pytest

from rl.data.demos import DemoSummary, DemoWriter, load_demos, record_demos, summarize_demos
from rl.data.journal import TransitionJournal
from rl.data.n_step import NStep
from rl.data.replay_buffer import ReplayBuffer
from rl.data.schema import SCALAR
from rl.errors import DataError
from tests.rl.data.transitions import ACTIONS, OBSERVATIONS, numbered, row


class Walk(gym.Env):
    """Five steps, then truncated; every second episode succeeds (and terminates)."""

    observation_space = OBSERVATIONS
    action_space = ACTIONS

    def __init__(self):
        self.episode = -1

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.step_number = 0
        self.episode += 1
        return self._observation(), {}

    def step(self, action):
        self.step_number += 1
        over, good = self.step_number == 5, self.episode % 2 == 1
        return self._observation(), 1.0, over and good, over and not good, {"success": over and good}

    def _observation(self):
        return np.array([self.episode, self.step_number, 0], np.float32)


def policy(observation):
    return np.array([observation[1] / 10, 0.5])


def test_recorded_episodes_are_the_successful_ones(tmp_path):
    summary = record_demos(tmp_path / "demos", Walk(), policy, 3, seed=0)
    assert (summary.episodes, summary.transitions, summary.return_mean, summary.successes) == (3, 15, 5.0, 3)
    buffer = ReplayBuffer(OBSERVATIONS, ACTIONS, 20, seed=0)
    assert load_demos(tmp_path / "demos", buffer, OBSERVATIONS, ACTIONS) == summary
    batch = buffer.sample(15, indices=np.arange(15))
    np.testing.assert_array_equal(batch["observations"][:, 0], np.repeat([1, 3, 5], 5))
    np.testing.assert_array_equal(batch["next_observations"][:, 1], np.tile(np.arange(1, 6), 3))
    np.testing.assert_allclose(batch["actions"][:, 0], np.tile(np.arange(5) / 10, 3), rtol=1e-6)
    np.testing.assert_array_equal(batch["dones"], np.tile([0, 0, 0, 0, 1], 3))
    np.testing.assert_array_equal(batch["masks"], 1 - batch["dones"])


class Steered(Walk):
    """A hand steers the second and the third step, and the third closes the fingers."""

    def step(self, action):
        *result, info = super().step(action)
        steered = {"intervene_action": np.array([0.25, -0.5])} if self.step_number in (2, 3) else {}
        return *result, {**info, **steered, "grasp_penalty": -0.02 * (self.step_number == 3)}


def loaded(path, **extras):
    buffer = ReplayBuffer(OBSERVATIONS, ACTIONS, 20, seed=0, extras=dict.fromkeys(extras, SCALAR))
    load_demos(path, buffer, OBSERVATIONS, ACTIONS, extras=extras)
    return buffer.sample(5, indices=np.arange(5))


def test_l2_a_recording_holds_who_acted_and_what_the_fingers_cost_and_the_file_counts_more_than_a_constant(tmp_path):
    record_demos(tmp_path / "demos", Steered(), policy, 1, seed=0)
    batch = loaded(tmp_path / "demos", is_intervention=0.5, grasp_penalty=7.0)
    np.testing.assert_array_equal(batch["is_intervention"], [0, 1, 1, 0, 0])
    np.testing.assert_array_equal(batch["grasp_penalty"], np.float32([0, 0, -0.02, 0, 0]))
    np.testing.assert_array_equal(batch["actions"][1:3], [[0.25, -0.5]] * 2)


def test_p11_a_field_that_an_agent_does_not_learn_from_is_left_out_and_one_that_the_file_lacks_is_filled(tmp_path):
    record_demos(tmp_path / "demos", Steered(), policy, 1, seed=0)
    assert "grasp_penalty" not in loaded(tmp_path / "demos")
    with DemoWriter(tmp_path / "plain", OBSERVATIONS, ACTIONS) as writer:
        batch = {**numbered(0, 5), "dones": np.float32([0, 0, 0, 0, 1])}
        writer.write_episode([row(batch, step) for step in range(5)], success=True)
    np.testing.assert_array_equal(loaded(tmp_path / "plain", grasp_penalty=-0.5)["grasp_penalty"], [-0.5] * 5)


def test_p7_a_recording_tells_how_many_actions_a_second_it_had(tmp_path):
    env = Walk()
    env.metadata = {"render_fps": 20}
    record_demos(tmp_path / "demos", env, policy, 1, seed=0, origin={"action_repeat": 2})
    with TransitionJournal(tmp_path / "demos", read_only=True) as journal:
        assert [block.info["origin"]["rate_hz"] for block in journal.blocks()] == [10.0]


def test_l2_a_recording_from_before_goes_on_with_the_fields_that_it_has(tmp_path):
    batch = {**numbered(0, 5), "dones": np.float32([0, 0, 0, 0, 1])}
    extras = {"is_intervention": np.ones(5, np.float32), "grasp_penalty": np.full(5, -0.02, np.float32)}
    for name, first, second in (("old", batch, batch | extras), ("new", batch | extras, batch)):
        with DemoWriter(tmp_path / name, OBSERVATIONS, ACTIONS) as writer:
            for episode in (first, second):
                writer.write_episode([row(episode, step) for step in range(5)], success=True)
    with TransitionJournal(tmp_path / "old", read_only=True) as old, TransitionJournal(tmp_path / "new") as new:
        assert all(set(block.transitions) == set(batch) for block in old.blocks())
        assert [block.transitions["is_intervention"].tolist() for block in new.blocks()] == [[1.0] * 5, [0.0] * 5]


class Torn(Walk):
    """The third step of its first success does not follow from its action alone."""

    def step(self, action):
        *result, info = super().step(action)
        return *result, {**info, "is_torn": (self.episode, self.step_number) == (1, 3)}


def test_r11_an_episode_with_a_torn_step_is_no_demonstration(tmp_path):
    record_demos(tmp_path / "demos", Torn(), policy, 2, seed=0)
    with TransitionJournal(tmp_path / "demos", read_only=True) as journal:
        assert [block.transitions["observations"][0, 0] for block in journal.blocks()] == [3, 5]


def test_a_finished_file_stays_one_file_while_it_is_read_and_can_be_continued(tmp_path):
    record_demos(tmp_path / "demos", Walk(), policy, 1, seed=0)
    with TransitionJournal(tmp_path / "demos", read_only=True) as journal:
        assert len(journal) == 5
        assert [found.name for found in tmp_path.iterdir()] == ["demos"]
    with DemoWriter(tmp_path / "demos", OBSERVATIONS, ACTIONS) as writer:
        rows = numbered(0, 3)
        rows["dones"][-1] = 1.0
        writer.write_episode([row(rows, index) for index in range(3)], success=True)
    assert summarize_demos(tmp_path / "demos").episodes == 2
    assert [found.name for found in tmp_path.iterdir()] == ["demos"]


class Seeded(Walk):
    """Fails by its seed, and shows it."""

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode = 2 * (seed % 500) + int(self.np_random.integers(3) > 0)
        return self._observation(), {}


def test_a_resumed_recording_is_the_one_that_was_not_broken_off(tmp_path):
    class Interrupted(Exception):
        pass

    def interrupt(kept, attempts):
        if attempts == 4:
            raise Interrupted

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    record_demos(whole, Seeded(), policy, 6, seed=1)
    with pytest.raises(Interrupted):
        record_demos(broken, Seeded(), policy, 6, seed=1, on_attempt=interrupt)
    assert 0 < summarize_demos(broken).episodes < 6
    assert record_demos(broken, Seeded(), policy, 6, seed=1, resume=True) == summarize_demos(whole)
    with TransitionJournal(whole, read_only=True) as one, TransitionJournal(broken, read_only=True) as other:
        for block, again in zip(one.blocks(), other.blocks(), strict=True):
            assert block.info == again.info
            np.testing.assert_array_equal(block.transitions["observations"], again.transitions["observations"])
    with pytest.raises(DataError, match="not recorded from this seed"):
        record_demos(broken, Seeded(), policy, 9, seed=2, resume=True)


def test_a_recording_that_was_broken_off_before_it_kept_anything_is_resumed_from_its_beginning(tmp_path):
    with DemoWriter(tmp_path / "broken", OBSERVATIONS, ACTIONS):
        pass
    assert summarize_demos(tmp_path / "broken") == DemoSummary(0, 0, 0.0, 0)
    record_demos(tmp_path / "whole", Seeded(), policy, 3, seed=1)
    record_demos(tmp_path / "broken", Seeded(), policy, 3, seed=1, resume=True)
    seeds = []
    for name in ("whole", "broken"):
        with TransitionJournal(tmp_path / name, read_only=True) as journal:
            seeds.append([block.info["origin"]["seed"] for block in journal.blocks()])
    assert seeds[0] == seeds[1]


def test_n_step_demonstrations_stay_within_their_episode(tmp_path):
    record_demos(tmp_path / "demos", Walk(), policy, 2, seed=0)
    buffer = ReplayBuffer(OBSERVATIONS, ACTIONS, 10, seed=0)
    load_demos(tmp_path / "demos", buffer, OBSERVATIONS, ACTIONS, n_step=NStep(3, 1.0))
    batch = buffer.sample(10, indices=np.arange(10))
    np.testing.assert_array_equal(batch["rewards"], [3, 3, 3, 2, 1] * 2)
    np.testing.assert_array_equal(batch["observations"][:, 0], batch["next_observations"][:, 0])


def test_recording_never_overwrites_and_gives_up_on_a_bad_expert(tmp_path):
    record_demos(tmp_path / "demos", Walk(), policy, 1, seed=0)
    with pytest.raises(DataError, match="never overwritten"):
        record_demos(tmp_path / "demos", Walk(), policy, 1, seed=0)
    with pytest.raises(DataError, match="1 of 3 attempts"):
        record_demos(tmp_path / "more", Walk(), policy, 3, seed=0, attempts_per_episode=1)
    assert summarize_demos(tmp_path / "more").episodes == 1


def test_demonstrations_of_another_environment_are_refused(tmp_path):
    record_demos(tmp_path / "demos", Walk(), policy, 2, seed=0)
    wider = gym.spaces.Box(-2, 2, (2,), np.float32)
    buffer = ReplayBuffer(OBSERVATIONS, ACTIONS, 5, seed=0)
    with pytest.raises(DataError, match=r"action_space is float32\[2\] from -1.0 to 1.0; wanted: .* from -2.0 to 2.0"):
        load_demos(tmp_path / "demos", buffer, OBSERVATIONS, wider)
    with pytest.raises(DataError, match="room"):
        load_demos(tmp_path / "demos", buffer, OBSERVATIONS, ACTIONS)
    with TransitionJournal(tmp_path / "journal") as journal:
        journal.append("a", 0, numbered(0, 3))
    with pytest.raises(DataError, match="no episodes"):
        summarize_demos(tmp_path / "journal")


def test_only_whole_episodes_are_demonstrations(tmp_path):
    with DemoWriter(tmp_path / "demos", OBSERVATIONS, ACTIONS) as writer:
        for transitions in ([], [row(numbered(0, 3), index) for index in range(3)]):
            with pytest.raises(DataError):
                writer.write_episode(transitions, success=True)
