"""The ready-made callbacks do what they say."""

from __future__ import annotations

import pytest

from rl import History, ProgressBar, StopOnEvaluation
from rl.errors import ConfigError
from rl.training.callbacks import Evaluation
from tests.rl.training.small_agents import one_thread, small_sac

__all__ = ["one_thread"]


@pytest.mark.parametrize(
    ("rates", "in_a_row", "goes_on"),
    [
        ([0.9, 0.95, 1.0], 1, [True, False, False]),
        ([0.95, 0.9, 0.95, 0.95, 0.5], 2, [True, True, True, False, True]),
    ],
)
def test_it_stops_when_enough_evaluations_in_a_row_are_good(rates: list[float], in_a_row: int, goes_on: list[bool]):
    stop = StopOnEvaluation(0.95, in_a_row=in_a_row)
    assert [stop.on_evaluation(Evaluation(0, {"success_rate": rate})) for rate in rates] == goes_on


def test_a_metric_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(ConfigError, match=r"no 'success_rate'; they have return_mean, length_mean\. Give"):
        StopOnEvaluation(0.9).on_evaluation(Evaluation(0, {"return_mean": 1.0, "length_mean": 2.0}))


def test_a_training_ends_when_its_evaluation_is_good():
    agent = small_sac()
    agent.train(100, callbacks=[StopOnEvaluation(-1e9, "return_mean", in_a_row=2)], evaluate_every=20)
    assert agent.env_steps == 40


def test_to_stop_on_evaluations_of_a_training_that_has_none_is_refused():
    with pytest.raises(ConfigError, match="needs evaluations: train"):
        small_sac().train(100, callbacks=[StopOnEvaluation(0.9)])


def test_history_keeps_every_episode_and_evaluation():
    history = History()
    small_sac().train(35, callbacks=[history], evaluate_every=10, evaluate_episodes=2)
    assert [(end.env_steps, end.episodes) for end in history.episodes] == [(10, 1), (20, 2), (30, 3)]
    assert all(end.values["length"] == 10 and "success" in end.values for end in history.episodes)
    assert [found.env_steps for found in history.evaluations] == [10, 20, 30, 35]
    assert {found.values["episodes"] for found in history.evaluations} == {2.0}


def test_the_bar_ends_with_the_training(capsys: pytest.CaptureFixture[str]):
    small_sac().train(25, callbacks=[ProgressBar()])
    assert "100%" in capsys.readouterr().out
