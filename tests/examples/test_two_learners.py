"""One actor between two learners: turns, and an end of one that is not the end of the other."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from examples.async_bin_relocation_fwbw_drq.two_learners import Turn, TwoLearners, TwoPolicies


class Link:
    """A learner that has published `weights`."""

    def __init__(self, weights=None):
        self.sent, self.reports, self.weights, self.finished, self.asked = [], [], weights, False, 0
        self.env_steps = 0

    @property
    def is_finished(self):
        self.asked += 1
        return self.finished

    def may_step(self, timeout_s):
        return not self.finished

    def send(self, transition):
        self.sent.append(transition)
        self.env_steps += 1

    def report(self, topic, values):
        self.reports.append(values)

    def take_weights(self):
        weights, self.weights = self.weights, None
        return None if weights is None else SimpleNamespace(policy=weights)

    def wait_for_weights(self, timeout_s):
        return self.take_weights()


@pytest.fixture
def turn() -> Turn:
    return Turn()


@pytest.fixture
def links() -> dict[int, Link]:
    return {0: Link(), 1: Link()}


def test_transitions_and_reports_go_to_the_learner_whose_turn_it_is(turn: Turn, links: dict[int, Link]):
    both = TwoLearners(links, turn)
    for task_id in (0, 1, 1):
        turn.tasks.append(task_id)
        both.send({"task": task_id})
        both.report("episode", {"task": task_id})
    assert [one["task"] for one in links[0].sent + links[0].reports] == [0, 0]
    assert [one["task"] for one in links[1].sent + links[1].reports] == [1] * 4
    assert both.env_steps == 2


def test_the_first_weights_are_those_of_both_and_later_ones_of_either(turn: Turn, links: dict[int, Link]):
    both = TwoLearners(links, turn)
    links[1].weights = "b0"
    assert both.wait_for_weights(0.0) is None
    links[0].weights = "f0"
    assert both.wait_for_weights(0.0).policy == {0: "f0", 1: "b0"}
    links[1].weights = "b1"
    assert both.take_weights().policy == {1: "b1"}
    assert both.take_weights() is None


def test_a_finished_learner_is_left_alone_while_the_other_goes_on(turn: Turn, links: dict[int, Link]):
    both = TwoLearners(links, turn)
    turn.tasks.append(0)
    links[0].finished = True
    assert both.may_step(0.0), "the other needs the forward task to go on"
    both.send({})
    asked = links[0].asked
    assert both.may_step(0.0)
    assert not both.is_finished
    assert (links[0].sent, links[0].asked) == ([], asked), "its link would call the silence a fault"
    links[1].finished = True
    assert both.is_finished
    assert not both.may_step(0.0)


def test_each_task_has_its_policy(turn: Turn):
    class Fixed:
        def __init__(self, action):
            self.action = action

        def sample_actions(self, observations, *, argmax):
            return self.action

        def load_policy_state_dict(self, state):
            self.action = state

    policies = TwoPolicies({0: Fixed("f"), 1: Fixed("b")}, turn)
    policies.load_policy_state_dict({1: "newer b"})
    acted = []
    for task_id in (0, 1):
        turn.tasks.append(task_id)
        acted.append(policies.sample_actions(None))
    assert acted == ["f", "newer b"]
