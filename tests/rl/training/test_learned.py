"""`--evaluation.stop-at-success`: a run ends when two evaluations in a row are good, and says what that took."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rl.common.evaluation import Episode, summarize
from rl.config import EvaluationConfig, TrainConfig
from rl.errors import ConfigError
from rl.training.learned import IN_A_ROW, Learned, SuccessGoal
from rl.utils.run_directory import LEARNED


def evaluation(successes: int, episodes: int = 20) -> dict[str, float]:
    return summarize([Episode(success=number < successes, success_step=1) for number in range(episodes)])


def test_two_good_evaluations_in_a_row_reach_the_goal(tmp_path: Path):
    goal = SuccessGoal(0.95, tmp_path)
    reached = []
    for step, successes in enumerate([19, 18, 20, 19]):
        goal.note(1000 * step, evaluation(successes))
        reached.append(goal.reached is not None)
    assert reached == [False, False, False, True]


def test_what_is_told_is_the_evaluation_that_decided(tmp_path: Path):
    goal = SuccessGoal(0.95, tmp_path)
    for step, successes in ((2000, 20), (4000, 19), (6000, 3), (8000, 20)):
        goal.note(step, evaluation(successes))
    learned = Learned.load(tmp_path)
    assert learned is not None
    assert learned == goal.reached
    assert (learned.env_steps, learned.episodes, learned.success_rate) == (4000, 20, 0.95)
    # Wilson's interval of 19 successes in 20 trials.
    assert (round(learned.success_low, 3), round(learned.success_high, 3)) == (0.764, 0.991)
    assert re.fullmatch(
        rf"learned after 4,000 steps and 0\.0 minutes: at least 95% success in {IN_A_ROW} evaluations in a row, 95% of "
        r"20 episodes in the last one \(95 % between 76% and 99%\)",
        learned.sentence(),
    )


def test_without_the_option_nothing_ends(tmp_path: Path):
    goal = SuccessGoal(None, tmp_path)
    for _ in range(5):
        goal.note(0, evaluation(20))
    assert goal.reached is None
    assert Learned.load(tmp_path) is None


def test_a_run_that_is_continued_has_not_learned_yet(tmp_path: Path):
    (tmp_path / LEARNED).write_text("{}")
    SuccessGoal(0.95, tmp_path)
    assert Learned.load(tmp_path) is None


def test_an_environment_without_success_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"puts `success` into its info.* have return_mean.*stop-at-success None"):
        SuccessGoal(0.95, tmp_path).note(0, summarize([Episode(total_reward=1.0)]))


@pytest.mark.parametrize(
    ("evaluation", "answer"),
    [
        ({"stop_at_success": 0.0}, "a share of episodes above 0"),
        ({"stop_at_success": 1.1}, "a share of episodes above 0"),
        ({"stop_at_success": 0.9, "every_steps": 0}, "give every_steps"),
    ],
)
def test_a_goal_that_cannot_be_reached_is_refused(evaluation: dict[str, float], answer: str):
    with pytest.raises(ConfigError, match=answer):
        TrainConfig(evaluation=EvaluationConfig(**evaluation))  # type: ignore[arg-type]
