"""Laws of the handover: one world for both arms, what counts as done, and a pair of scripts that does it."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from envs.experts.object_handover import HandoverExpert
from envs.registration import DUAL_TABLE
from robotkit import InvalidCommand, InvalidConfiguration
from tests.envs.cells import flat, made

ID, VISION = "DualPandaHandover-v0", "DualFrankaHandoverRelative-Vision-v0"
NOTHING = np.zeros(14, np.float32)
BAR = np.array((0.5, 0.0, 0.015, 0.0, 0.0, 0.0, 1.0))
"""A place for the bar in the frame of the right arm, which is 1 m from the left one and turned by half a turn."""
IN_TRAY = np.array((0.64, -0.15, 0.015, 0.0, 0.0, 0.0, 1.0))


def cells(env):
    return [arm.unwrapped.workcell for arm in env.unwrapped.arms.values()]


def play(env, seed):
    env.reset(seed=seed)
    for _ in range(200):
        *_, reward, terminated, _, info = env.step(NOTHING)
        if terminated:
            break
    return info["success"], reward


def test_a_step_takes_one_period_of_one_world_and_a_reset_is_one():
    with made(ID) as env:
        env.reset(seed=0)
        left, right = cells(env)
        assert left.world.simulation is right.world.simulation
        resets, start_s = left.world.resets, left.clock.now_s()
        for _ in range(3):
            env.step(NOTHING)
        assert left.clock.now_s() - start_s == pytest.approx(0.3)
        env.reset(seed=1)
        assert left.world.resets == resets + 1


def test_a_seed_repeats_an_episode_to_the_last_bit_and_another_places_the_bar_elsewhere():
    actions = np.random.default_rng(0).uniform(-1, 1, (12, 14)).astype(np.float32)
    with made(ID) as env:

        def run(seed):
            return [flat(env.reset(seed=seed)[0]), *(flat(env.step(action)[0]) for action in actions)]

        first, other, again = run(0), run(1), run(0)
    assert np.array_equal(first, again)
    assert np.abs(first[0] - other[0]).max() > 0.005


def test_both_arms_see_one_bar():
    with made(ID) as env:
        state = env.reset(seed=0, options={"right/object_pose": BAR})[0]["state"]
    assert state["left/object_to_goal"] == pytest.approx((-0.14, 0.15, 0.0), abs=1e-3)
    assert state["right/object_to_goal"] == pytest.approx((0.14, -0.15, 0.0), abs=1e-3)
    for arm in ("left", "right"):
        grip_m = state[f"{arm}/tcp_pose"][:3] + state[f"{arm}/tcp_to_grip"][:3]
        assert grip_m == pytest.approx((0.425, 0.0, 0.015), abs=1e-3)


@pytest.mark.parametrize(
    ("place", "is_open", "is_success"),
    [(IN_TRAY, True, True), (IN_TRAY, False, False), (BAR, True, False)],
    ids=["laid down", "still held", "beside the tray"],
)
def test_it_is_done_when_the_bar_lies_in_the_tray_and_the_taker_has_let_go(place, is_open, is_success):
    with made(ID) as env:
        env.reset(seed=0, options={"right/object_pose": place})
        action = NOTHING.copy()
        action[6] = 0.0 if is_open else -1.0
        for _ in range(4):
            *_, reward, terminated, _, info = env.step(action)
            if is_open:
                break
    assert (reward, terminated, info["success"]) == (float(is_success), is_success, is_success)
    assert info["left/success"] is is_success


def test_a_wrong_action_of_the_pair_moves_neither_and_the_episode_goes_on():
    with made(ID) as env:
        env.reset(seed=0)
        start_s = cells(env)[0].clock.now_s()
        with pytest.raises(InvalidCommand):
            env.step(np.full(14, np.nan, np.float32))
        env.step(NOTHING)
        assert cells(env)[0].clock.now_s() - start_s == pytest.approx(0.1)


def test_an_arm_for_which_no_thread_can_be_had_keeps_the_other_waiting_for_nothing(monkeypatch):
    with made(ID) as env:
        env.reset(seed=0)
        threads = env.unwrapped._threads
        submit, asked = threads.submit, []

        def refuse_the_second(*call):
            asked.append(call)
            if len(asked) == 4:  # the first two asked both arms whether they can go on
                raise RuntimeError("can't start new thread")
            return submit(*call)

        monkeypatch.setattr(threads, "submit", refuse_the_second)
        with pytest.raises(RuntimeError, match="new thread"):
            env.step(NOTHING)
        monkeypatch.undo()
        env.reset(seed=0)
        env.step(NOTHING)


def test_closing_ends_the_threads_of_both_arms():
    with made(ID) as env:
        env.reset(seed=0)
        executor = env.unwrapped._threads  # held, since threads of one that nobody holds end by themselves
        threads = list(executor._threads)
    assert [thread.is_alive() for thread in threads] == [False, False]


def test_cells_that_are_named_share_a_world_and_one_arm_has_one_cell():
    left, right = (f"mujoco-object-handover-{arm}" for arm in ("left", "right"))
    with made(ID, cell=f"{left},{right}") as env:
        assert len({cell.world.simulation for cell in cells(env)}) == 1
    with pytest.raises(InvalidConfiguration, match="stands in another cell already"):
        gymnasium.make(ID, cell=left)


def test_a_picture_shows_both_arms_and_what_they_do():
    with made(ID, render_mode="rgb_array") as env:
        env.reset(seed=0)
        overview, side = np.split(env.render(), 2, axis=1)
    assert overview.shape == side.shape == (512, 512, 3)
    assert not np.array_equal(overview, side)


def test_the_policys_keys_are_hil_serls():
    with made(VISION) as env:
        observation, _ = env.reset(seed=0)
        shapes = {name: value.shape for name, value in observation.items()}
    images = ("left/wrist", "left/side", "right/wrist")
    assert shapes == {"state": (26,), **dict.fromkeys(images, (128, 128, 3))}


def test_gymnasiums_checker_finds_no_fault():
    env = gymnasium.make(ID).unwrapped
    check_env(env, skip_render_check=True)
    env.close()


def test_the_scripts_hand_the_bar_on_and_each_needs_an_arm_of_the_handover():
    with made(ID, human="expert") as env:
        success, reward = play(env, 0)
        assert success
        assert reward == 1.0
    with made() as env, pytest.raises(InvalidConfiguration, match="one arm of a handover"):
        HandoverExpert(env)


def test_a_script_names_the_trackers_that_its_cell_lacks():
    row = DUAL_TABLE[ID].left
    with made("FrankaReachPose-v0", cell="fake") as env, pytest.raises(InvalidConfiguration, match="one arm"):
        row.expert(env)


@pytest.mark.slow
def test_the_scripts_succeed_nine_times_out_of_ten():
    with made(ID, human="expert") as env:
        successes = [play(env, seed)[0] for seed in range(100, 120)]
    assert np.mean(successes) >= 0.9
