"""Laws of the training doctor: each check gives the right verdict on both sides of its threshold, or says why none."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rl.agents.continuous.sac_config import SacConfig
from rl.config import ReplayConfig, TrainConfig
from rl.data.journal import Block
from rl.training.doctor.evidence import Evidence, Line, Transitions
from rl.training.doctor.report import to_json, to_text
from rl.training.doctor.table import CHECKS, examine
from rl.training.doctor.values import returns_to_go

RNG = np.random.default_rng(0)
CONFIG = TrainConfig(random_steps=0, training_starts=1, agent=SacConfig(discount=0.9))


def transitions(count: int = 1200, length: int = 20, **given: Any) -> Transitions:
    """Episodes of a time limit, with observations and actions that change and a reward that does."""
    is_last = (np.arange(count) + 1) % length == 0
    fields = {
        "vectors": np.random.default_rng(1).normal(size=(count, 4)),
        "images": np.zeros((count, 0)),
        "actions": np.random.default_rng(2).uniform(-0.9, 0.9, (count, 2)),
        "rewards": np.arange(count) % 2.0,
        "masks": np.ones(count),
        "dones": is_last.astype(float),
        "is_by_human": np.zeros(count, bool),
        "actors": np.full(count, "actor-0/a", object),
        "follows_gap": np.zeros(count, bool),
        "rows": np.arange(count),
    }
    return Transitions(**(fields | given))


def updates(count: int = 20, **given: float) -> list[Line]:
    line = {"critic/predicted_qs": 1.0, "actor/entropy": -1.0, "actor/temperature": 0.1, "updates_per_s": 10.0}
    return [{**line, "step": 100.0 * n, "updates": 100.0 * n, **given} for n in range(count)]


def episodes(count: int = 100, **given: float) -> list[Line]:
    line = {"return": 1.0, "length": 20.0, "interventions": 0.0, "intervened_steps": 0.0, "success": 1.0}
    return [{**line, "step": 20.0 * (n + 1), **given} for n in range(count)]


def run(**given: Any) -> Evidence:
    healthy: dict[str, Any] = {
        "config": CONFIG, "updates": updates(), "episodes": episodes(), "transitions": transitions()
    }  # fmt: skip
    return Evidence(**(healthy | given))


def is_found(name: str, evidence: Evidence) -> bool:
    """Whether the check found something; it must have been made."""
    diagnosis = examine(evidence)
    assert name not in diagnosis.not_applicable, diagnosis.not_applicable[name]
    return name in [finding.name for finding in diagnosis.findings]


def test_every_check_has_one_verdict():
    for evidence in (run(), Evidence(CONFIG), run(demos=transitions())):
        diagnosis = examine(evidence)
        found = [finding.name for finding in diagnosis.findings]
        assert sorted([*found, *diagnosis.passed, *diagnosis.not_applicable]) == sorted(CHECKS)


def test_a_check_without_data_is_never_passed():
    diagnosis = examine(Evidence(CONFIG))
    assert not diagnosis.findings
    assert not diagnosis.passed
    assert all(diagnosis.not_applicable.values())


def test_a_healthy_run_says_so_in_one_line_and_what_could_not_be_looked_at():
    diagnosis = examine(run())
    text = to_text("runs/a", diagnosis).splitlines()
    assert text[0] == f"runs/a: {len(diagnosis.passed)} checks found nothing"
    assert text[1] == "not applicable:"
    assert [line.split(":")[0].strip() for line in text[2:]] == list(diagnosis.not_applicable)


def test_the_worst_finding_stands_first_and_has_evidence_and_remedy():
    sick = run(
        episodes=episodes(waited_share=1.0),
        updates=[*updates(), {"critic/critic_loss": math.nan, "updates": 3.0}],
        transitions=transitions(actions=np.ones((1200, 2))),
    )
    diagnosis = examine(sick)
    severities = [finding.severity for finding in diagnosis.findings]
    assert severities == ["critical", "serious", "notice"]
    told = json.loads(to_json("runs/a", diagnosis))
    assert [finding["name"] for finding in told["findings"]] == ["not_finite", "actions_saturated", "actor_starved"]
    assert all(finding["evidence"] and finding["remedy"] for finding in told["findings"])
    assert to_text("runs/a", diagnosis).startswith("critical: not_finite\n")


def test_evidence_that_is_not_finite_is_null_for_a_program():
    seen = transitions().vectors.copy()
    seen[7, 2] = math.inf
    diagnosis = examine(run(updates=[*updates(), {"critic/loss": math.nan}], transitions=transitions(vectors=seen)))

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    told = json.loads(to_json("runs/a", diagnosis), parse_constant=refuse)
    found = {finding["name"]: finding["evidence"] for finding in told["findings"]}
    assert found["not_finite"] == {"lines": 1.0, "updates": None}
    assert found["observations_blown_up"]["largest"] is None


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_an_array_as_large_as_an_image_is_looked_at_by_its_mean(dtype: type):
    depth = np.arange(3 * 64 * 64).reshape(3, 64, 64).astype(dtype)
    batch = {
        "observations": {"depth": depth, "tcp": np.ones((3, 2), np.float32)},
        "actions": np.zeros((3, 1), np.float32),
        **{name: np.zeros(3, np.float32) for name in ("rewards", "masks", "dones")},
    }
    taken = Transitions.of([Block(3, "actor-0/a", 0, batch, None)])
    assert taken.vectors.shape == (3, 2)
    assert taken.images[:, 0] == pytest.approx(depth.reshape(3, -1).mean(1, np.float64), rel=1e-5)


@pytest.mark.parametrize(("value", "found"), [(1e30, False), (math.nan, True), (math.inf, True)])
def test_a_loss_that_is_not_finite_is_found(value: float, found: bool):
    assert is_found("not_finite", run(updates=[*updates(), {"critic/critic_loss": value}])) == found


def test_an_overflow_that_float16_skipped_is_none():
    half = replace(CONFIG, agent=replace(CONFIG.agent, precision="float16"))
    bad = {"critic/critic_loss": math.nan}
    assert not is_found("not_finite", run(config=half, updates=[*updates(), bad]))
    assert is_found("not_finite", run(config=half, updates=[*updates(), bad, bad, bad]))


def test_a_reward_that_never_changes_is_dead():
    assert is_found("reward_dead", run(transitions=transitions(rewards=np.zeros(1200))))
    assert is_found("reward_dead", run(transitions=transitions(rewards=np.ones(1200))))
    assert not is_found("reward_dead", run(transitions=transitions(rewards=np.eye(1, 1200)[0])))
    paid = transitions(rewards=np.eye(1, 1200)[0])
    assert not is_found("reward_dead", run(transitions=transitions(rewards=np.zeros(1200)), demos=paid))


@pytest.mark.parametrize("reward", [-1.0, 1.0])
def test_a_reward_of_every_step_tells_when_an_episode_terminates(reward: float):
    """-1 until the goal, or 1 until a fall; one that is paid at once in every step tells nothing."""
    is_last = (np.arange(1200) + 1) % 20 == 0
    paid = {"rewards": np.full(1200, reward)}
    ends = transitions(**paid, masks=1.0 - is_last)
    assert not is_found("reward_dead", run(transitions=ends))
    assert not is_found("reward_dead", run(transitions=transitions(**paid), demos=ends))
    assert is_found("reward_dead", run(transitions=transitions(1200, 1, **paid, masks=np.zeros(1200))))
    assert is_found("reward_dead", run(transitions=transitions(rewards=np.zeros(1200), masks=1.0 - is_last)))


@pytest.mark.parametrize("count", [999, 1000])
def test_a_reward_is_judged_after_a_thousand_steps(count: int):
    assert ("reward_dead" in examine(run(transitions=transitions(count))).not_applicable) == (count < 1000)


def test_returns_are_sums_to_the_end_and_go_on_after_a_time_limit():
    rewards = np.array([0.0, 0.0, 1.0, 5.0])
    ended = transitions(4, 3, rewards=rewards, masks=np.array([1.0, 1.0, 0.0, 1.0]))
    assert returns_to_go(ended, 0.5) == pytest.approx([0.25, 0.5, 1.0])
    cut = transitions(4, 3, rewards=rewards)
    assert returns_to_go(cut, 0.5) == pytest.approx([0.5, 1.0, 2.0])
    assert returns_to_go(cut, 0.5, bias=-1.0) == pytest.approx([-1.5, -1.0, 0.0])


@pytest.mark.parametrize(("factor", "found"), [(0.99, False), (1.01, True)])
def test_values_above_what_came_back_are_found(factor: float, found: bool):
    """Rewards are 0 and 1 in turns and go on with 1, so returns reach from 5 to 10; 10 000 steps wear off the start."""
    data = transitions()
    returns = returns_to_go(data, 0.9)
    allowed = np.quantile(returns, 0.95) + 0.1 * np.ptp(returns)
    old = [{**line, "updates": 1e6} for line in updates(**{"critic/predicted_qs": factor * allowed})]
    assert is_found("q_overestimated", run(transitions=data, updates=old)) == found


def test_values_are_judged_by_the_best_of_run_and_demonstrations():
    """Without those that a run has learned from, high values may be theirs."""
    shown = replace(CONFIG, replay=ReplayConfig(demos=(Path("demos.sqlite"),)))
    high = [{**line, "updates": 1e6} for line in updates(**{"critic/predicted_qs": 50.0})]
    assert is_found("q_overestimated", run(config=shown, updates=high, demos=transitions()))
    best = transitions(rewards=10.0 * (np.arange(1200) % 2))
    assert not is_found("q_overestimated", run(config=shown, updates=high, demos=best))
    assert "q_overestimated" in examine(run(config=shown, updates=high)).not_applicable


def test_values_of_a_fresh_network_are_not_called_too_high():
    data = transitions(rewards=-np.arange(1200) % 2.0 * 0.01)
    fresh = updates(**{"critic/predicted_qs": 0.9})
    assert not is_found("q_overestimated", run(transitions=data, updates=[{**x, "updates": 10.0} for x in fresh]))
    assert is_found("q_overestimated", run(transitions=data, updates=[{**x, "updates": 1e6} for x in fresh]))


@pytest.mark.parametrize(("share", "found"), [(0.94, False), (0.96, True)])
def test_actions_at_their_bounds_are_found(share: float, found: bool):
    actions = np.where(np.arange(1200)[:, None] % 100 < 100 * share, -1.0, 0.5) * np.ones((1, 2))
    assert is_found("actions_saturated", run(transitions=transitions(actions=actions))) == found


def test_random_steps_and_a_human_s_are_no_actions_of_the_policy():
    bounds = {"actions": np.ones((1200, 2))}
    by_human = transitions(is_by_human=np.ones(1200, bool), **bounds)
    assert "actions_saturated" in examine(run(transitions=by_human)).not_applicable
    random = replace(CONFIG, random_steps=1000)
    assert "actions_saturated" in examine(run(config=random, transitions=transitions(**bounds))).not_applicable


def test_a_gripper_may_be_at_its_bounds():
    actions = np.stack([np.ones(1200), np.zeros(1200)], 1)
    assert not is_found("actions_saturated", run(transitions=transitions(actions=actions)))


@pytest.mark.parametrize(("entropy", "found"), [(-2.9, False), (-3.1, True)])
def test_an_entropy_a_nat_for_each_number_below_its_target_is_found(entropy: float, found: bool):
    assert is_found("entropy_collapsed", run(updates=updates(**{"actor/entropy": entropy}))) == found


@pytest.mark.parametrize(("entropy", "found"), [(-8.9, False), (-9.1, True)])
def test_more_is_allowed_while_the_temperature_rises(entropy: float, found: bool):
    rising = [{**line, "actor/entropy": entropy, "actor/temperature": 1.01**n} for n, line in enumerate(updates())]
    assert is_found("entropy_collapsed", run(updates=rising)) == found


@pytest.mark.parametrize(("count", "success", "found"), [(100, 0.0, True), (100, 1.0, False)])
def test_a_run_without_success_is_found(count: int, success: float, found: bool):
    assert is_found("no_success", run(episodes=episodes(count, success=success))) == found


def test_too_few_episodes_say_nothing_of_success():
    assert "no_success" in examine(run(episodes=episodes(99, success=0.0))).not_applicable


def test_a_run_whose_returns_rise_is_on_its_way_to_its_first_success():
    rising = [{**line, "success": 0.0, "return": float(n)} for n, line in enumerate(episodes())]
    assert not is_found("no_success", run(episodes=rising))


def test_a_run_with_demonstrations_has_successes_to_learn_from():
    shown = replace(CONFIG, replay=ReplayConfig(demos=(Path("demos.sqlite"),)))
    assert "no_success" in examine(run(config=shown, episodes=episodes(success=0.0))).not_applicable


@pytest.mark.parametrize(("false", "found"), [(19, False), (20, True)])
def test_episodes_that_a_classifier_paid_falsely_are_found(false: int, found: bool):
    told = [{**line, "env_success": float(n >= false)} for n, line in enumerate(episodes())]
    assert is_found("reward_false", run(episodes=told)) == found


@pytest.mark.parametrize(("length", "found"), [(12, False), (8, True)])
def test_paid_episodes_that_no_demonstration_could_be_as_short_as_are_found(length: int, found: bool):
    judged = replace(CONFIG, reward_classifier=Path("classifier"))
    paid = transitions(1200, length, rewards=((np.arange(1200) + 1) % length == 0).astype(float))
    evidence = run(config=judged, transitions=paid, demos=transitions(200, 20))
    assert is_found("reward_false", evidence) == found


@pytest.mark.parametrize(("pays", "found"), [(0.0, False), (1.0, True)])
def test_random_actions_that_a_classifier_pays_are_found(pays: float, found: bool):
    judged = replace(CONFIG, reward_classifier=Path("classifier"), random_steps=400)
    paid = transitions(rewards=np.full(1200, pays))
    assert is_found("reward_false", run(config=judged, transitions=paid)) == found


@pytest.mark.parametrize(("apart", "noise", "found"), [(0.0, 0.0, False), (1.0, 0.0, True), (0.0, 2.0, False)])
def test_demonstrations_that_act_unlike_at_near_observations_are_found(apart: float, noise: float, found: bool):
    """Every second demonstration goes another way; a hand that trembles in all of them is no contradiction."""
    draws = np.random.default_rng(4)
    starts = np.repeat(draws.uniform(-1.0, 1.0, (30, 2)), 20, 0)
    seen = starts + 0.05 * np.tile(np.arange(20), 30)[:, None]
    way = np.where(np.arange(600) // 20 % 2, apart, -apart)[:, None]
    actions = 0.3 * seen + way + noise * draws.normal(size=(600, 2))
    assert is_found("demos_contradict", run(demos=transitions(600, vectors=seen, actions=actions))) == found


def test_demonstrations_far_from_each_other_show_no_contradiction():
    few = transitions(40, vectors=np.random.default_rng(3).normal(size=(40, 30)))
    assert "demos_contradict" in examine(run(demos=few)).not_applicable


def test_what_stops_to_change_is_found_and_what_never_did_is_not():
    seen = transitions().vectors.copy()
    seen[:, 1] = 7.0
    assert not is_found("observations_frozen", run(transitions=transitions(vectors=seen)))
    seen[-500:, 2] = 7.0
    assert is_found("observations_frozen", run(transitions=transitions(vectors=seen)))
    moved = transitions(vectors=transitions().vectors[:, ::-1])
    never = np.where(np.arange(4) == 3, 1.0, transitions().vectors)
    assert is_found("observations_frozen", run(transitions=transitions(vectors=never), demos=moved))


@pytest.mark.parametrize(("length", "found"), [(600, False), (20, True)])
def test_a_goal_may_stay_for_an_episode_as_long_as_the_steps_that_are_looked_at(length: int, found: bool):
    seen = np.random.default_rng(1).normal(size=(1800, 4))
    seen[:, 3] = np.repeat(RNG.normal(size=1800 // length), length)
    seen[-500:, 3] = seen[-1, 3]
    assert is_found("observations_frozen", run(transitions=transitions(1800, length, vectors=seen))) == found


def test_what_only_the_demonstrations_grasp_is_no_sensor_that_is_stuck():
    seen = transitions().vectors
    grasped, opening = seen.copy(), seen.copy()
    grasped[:, 3] = np.arange(1200) % 20 > 10
    opening[:, 3] = np.maximum(np.arange(1200) % 20 - 12, 0)
    own = np.where(np.arange(4) == 3, 0.0, seen)
    for demos in (grasped, opening):
        shown = run(transitions=transitions(vectors=own), demos=transitions(vectors=demos))
        assert not is_found("observations_frozen", shown)


@pytest.mark.parametrize("numbers", [4, 0])
def test_an_image_that_never_changes_is_found(numbers: int):
    still = {"vectors": transitions().vectors[:, :numbers], "images": np.full((1200, 1), 99.0)}
    assert is_found("observations_frozen", run(transitions=transitions(**still)))
    still["images"] = RNG.uniform(0.0, 255.0, (1200, 1))
    assert not is_found("observations_frozen", run(transitions=transitions(**still)))


@pytest.mark.parametrize(("scale", "found"), [(30.0, False), (1000.0, True)])
def test_a_number_that_drowns_the_others_is_found(scale: float, found: bool):
    seen = transitions().vectors * np.array([scale, 1.0, 1.0, 1.0])
    assert is_found("observations_blown_up", run(transitions=transitions(vectors=seen))) == found
    standardised = replace(CONFIG, agent=replace(CONFIG.agent, standardises_inputs=True))
    assert not is_found("observations_blown_up", run(config=standardised, transitions=transitions(vectors=seen)))


@pytest.mark.parametrize(("spike", "found"), [(1e3, False), (1e5, True)])
def test_a_single_wrong_measurement_is_found(spike: float, found: bool):
    seen = transitions().vectors.copy()
    seen[700, 2] = spike
    assert is_found("observations_blown_up", run(transitions=transitions(vectors=seen))) == found


@pytest.mark.parametrize(
    ("asked", "updates_per_step", "found"),
    [(None, 0.011, False), (None, 0.009, True), (2.0, 0.26, False), (2.0, 0.24, True)],
)
def test_updates_that_the_steps_pay_for_and_that_are_not_done_are_found(
    asked: float | None, updates_per_step: float, found: bool
):
    lines = [{**line, "updates": line["step"] * updates_per_step} for line in updates()]
    config = replace(CONFIG, env_steps_per_update=asked)
    assert is_found("updates_missing", run(config=config, updates=lines)) == found


@pytest.mark.parametrize(("lag", "found"), [(299.0, False), (301.0, True)])
def test_weights_that_are_half_a_minute_old_are_found(lag: float, found: bool):
    """Ten updates a second."""
    assert is_found("weights_stale", run(updates=updates(actor_lag=lag))) == found
    once_fresh = [*updates(actor_lag=lag), {**updates()[0], "actor_lag": 5.0}]
    assert not is_found("weights_stale", run(updates=once_fresh))


@pytest.mark.parametrize(("late", "found"), [(1.0, False), (3.0, True)])
def test_late_steps_are_found(late: float, found: bool):
    assert is_found("steps_late", run(episodes=episodes(late_steps=late, torn_steps=0.0))) == found


@pytest.mark.parametrize(("last", "found"), [(8.0, False), (9.5, True), (10.0, True)])
def test_interventions_that_do_not_fall_are_found(last: float, found: bool):
    helped = episodes(50, interventions=1.0, intervened_steps=10.0)
    helped += episodes(50, interventions=1.0, intervened_steps=last)
    assert is_found("interventions_stay", run(episodes=helped)) == found


def test_interventions_that_are_rare_may_stay():
    assert not is_found("interventions_stay", run(episodes=episodes(interventions=1.0, intervened_steps=3.0)))


@pytest.mark.parametrize(("share", "found"), [(0.9, False), (0.96, True)])
@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("learner_starved", lambda share: {"updates": updates(waited_share=share)}),
        ("actor_starved", lambda share: {"episodes": episodes(waited_share=share)}),
    ],
)
def test_who_waits_nearly_always_is_found(
    name: str, lines: Callable[[float], dict[str, list[Line]]], share: float, found: bool
):
    assert is_found(name, run(**lines(share))) == found


def test_episodes_are_those_of_each_actor_and_a_gap_ends_none():
    names = np.array(["a", "b", "a", "b", "a", "a", "b", "a"], object)
    dones = np.array([0, 0, 1, 0, 0, 0, 1, 1.0])
    gaps = np.array([0, 0, 0, 0, 0, 1, 0, 0], bool)
    data = transitions(8, actors=names, dones=dones, follows_gap=gaps)
    assert [rows.tolist() for rows in data.episodes()] == [[0, 2], [1, 3, 6], [5, 7]]
