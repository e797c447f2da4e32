"""Laws of the reward classifiers: binary, gated, front camera, n-way, several stages, task graph."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.wrappers import (
    BinaryRewardClassifier,
    EpisodeStatistics,
    FrontCamera,
    FrontCameraRewardClassifier,
    GripperPenalty,
    MultiStageRewardClassifier,
    NWayRewardClassifier,
    SERLObsWrapper,
    TaskGraphRewardClassifier,
)
from robotkit import InvalidConfiguration
from tests.envs.pose_env import PoseEnv

ACTION = np.zeros(7, np.float32)


def scripted(*logits):
    """A classifier that gives one answer a call, and the last one from then on."""
    left = list(logits)
    return lambda observation: left.pop(0) if len(left) > 1 else left[0]


def run(env, steps):
    env.reset()
    return [env.step(ACTION) for _ in range(steps)]


@given(logit=st.floats(-800.0, 800.0), threshold=st.floats(0.01, 0.99))
def test_success_is_a_probability_above_the_threshold(logit, threshold):
    env = BinaryRewardClassifier(
        PoseEnv(), lambda observation: np.array([logit], np.float32), threshold, positive_frames=1
    )
    ((_, reward, terminated, truncated, info),) = run(env, 1)
    bound = math.log(threshold / (1.0 - threshold))
    if abs(logit - bound) > 1e-3:
        assert info["success"] is terminated is (logit > bound)
    assert reward == float(info["success"])
    assert 0.0 <= info["success_probability"] <= 1.0
    assert not truncated


def test_the_judge_replaces_the_envs_own_reward_but_not_its_end():
    inner = PoseEnv()
    inner.reward, inner.ends = 7.0, True
    ((_, reward, terminated, _, info),) = run(BinaryRewardClassifier(inner, lambda observation: -5.0), 1)
    assert (reward, terminated, info["success"]) == (0.0, True, False)


def test_success_need_not_end_the_episode():
    steps = run(BinaryRewardClassifier(PoseEnv(), lambda observation: 5.0, terminates=False), 4)
    assert [step[1:3] for step in steps] == [(0.0, False), *[(1.0, False)] * 3]


def test_a_penalty_is_no_success():
    """S21: `if reward:` took -0.1 for a success; S18: `reward == 1` missed one that cost a penalty."""
    inner = PoseEnv()
    inner.next_info = {"gripper_changed": True}
    env = GripperPenalty(BinaryRewardClassifier(inner, scripted(-5.0, 5.0), positive_frames=1), -0.1, goes_to="reward")
    failed, done = run(EpisodeStatistics(env), 2)
    assert (failed[1], failed[4]["success"]) == (-0.1, False)
    assert (done[1], done[4]["success"], done[4]["episode"]["success"]) == (0.9, True, True)


def test_a_closed_gate_is_not_asked_further():
    env = BinaryRewardClassifier(
        PoseEnv(), lambda _: pytest.fail("asked"), gate=lambda observation: observation["state"]["tcp_pose"][2] > 1.0
    )
    ((_, reward, _, _, info),) = run(env, 1)
    assert (reward, info["success"], info["success_probability"]) == (0.0, False, 0.0)


@pytest.mark.parametrize("is_flat", [False, True], ids=["nested", "serl"])
def test_a_classifier_of_several_cameras_sees_those_alone(is_flat):
    seen = []
    inner = PoseEnv(cameras=("front", "side", "wrist"))
    inner = SERLObsWrapper(inner) if is_flat else inner
    env = BinaryRewardClassifier(inner, lambda o: seen.append(o) or 0.0, 0.9, image_keys=("front", "wrist"))
    run(env, 1)
    assert set(seen[0] if is_flat else seen[0]["images"]) - {"state"} == {"front", "wrist"}
    with pytest.raises(InvalidConfiguration, match=r"top.*front, side, wrist"):
        BinaryRewardClassifier(inner, len, image_keys=("top",))


@pytest.mark.parametrize("is_flat", [False, True], ids=["nested", "serl"])
def test_the_front_camera_is_the_judges_and_the_others_are_the_policys(is_flat):
    seen = []
    inner = PoseEnv(cameras=("front", "wrist"))
    camera = FrontCamera(SERLObsWrapper(inner) if is_flat else inner)
    env = FrontCameraRewardClassifier(camera, lambda o: seen.append(o) or 0.0, 0.9)
    first, _ = env.reset()
    later = env.step(ACTION)[0]
    for observation in (first, later):
        assert observation in env.observation_space
        assert set(observation if is_flat else observation["images"]) - {"state"} == {"wrist"}
    shown = seen[0] if is_flat else seen[0]["images"]
    assert set(shown) - {"state"} == {"front"}
    assert (shown["front"] == 1).all(), "the newest image, not the one before"


@pytest.mark.parametrize(
    ("logits", "min_probability", "is_success"),
    [((0.0, 1.0, 3.0), 0.0, True), ((4.0, 1.0, 3.0), 0.0, False), ((2.9, 0.0, 3.0), 0.6, False)],
)
def test_n_way_success_is_the_likeliest_class_and_likely_enough(logits, min_probability, is_success):
    env = NWayRewardClassifier(PoseEnv(), lambda observation: [logits], 2, min_probability, positive_frames=1)
    ((_, reward, terminated, _, info),) = run(env, 1)
    assert (reward, terminated, info["success"]) == (float(is_success), is_success, is_success)
    assert info["success_probability"] == pytest.approx(math.exp(logits[2]) / sum(map(math.exp, logits)))


def test_stages_pay_once_in_any_order_and_success_is_all_of_them():
    stages = [scripted(-5.0, -5.0, 5.0), scripted(5.0, -5.0), scripted(-5.0, 5.0)]
    env = MultiStageRewardClassifier(PoseEnv(), stages, positive_frames=1)
    steps = run(env, 3)
    assert [step[1] for step in steps] == [1.0, 1.0, 1.0]
    assert [step[4]["stages"] for step in steps] == [1, 2, 3]
    assert [step[2] for step in steps] == [step[4]["success"] for step in steps] == [False, False, True]
    assert run(env, 1)[0][4]["stages"] == 2, "a new episode starts with none: the script's last answers count again"


def test_stages_in_order_wait_for_each_other():
    stages = [scripted(-5.0, 5.0), lambda observation: 5.0]
    env = MultiStageRewardClassifier(PoseEnv(), stages, in_order=True, positive_frames=1)
    assert [step[4]["stages"] for step in run(env, 2)] == [0, 2]


def test_the_task_graph_goes_on_after_success_alone():
    """S21: SERL switched after a penalty, and asked a task graph that returned None."""
    inner = PoseEnv()
    asked = []
    classifiers = {0: scripted(-5.0, 5.0), 1: scripted(-5.0, 5.0)}

    def classifier(task):
        return lambda observation: asked.append(task) or classifiers[task](observation)

    judges = {task: classifier(task) for task in (0, 1)}
    env = TaskGraphRewardClassifier(inner, judges, option="task_id", positive_frames=1)
    outer = GripperPenalty(env, -0.1, goes_to="reward")
    inner.next_info = {"gripper_changed": True}
    tasks = []
    for _ in range(4):
        _, info = outer.reset()
        step = outer.step(ACTION)
        tasks.append((info["task_id"], step[4]["task_id"], step[4]["success"]))
    assert tasks == [(0, 0, False), (0, 0, True), (1, 1, False), (1, 1, True)]
    assert outer.reset()[1]["task_id"] == 0
    assert asked == [0, 0, 1, 1], "only the present task's classifier is asked"
    assert [options["task_id"] for options in inner.options] == [0, 0, 1, 1, 0]


@pytest.mark.parametrize(
    "build",
    [
        lambda: BinaryRewardClassifier(PoseEnv(), len, threshold=1.0),
        lambda: BinaryRewardClassifier(PoseEnv(), len, positive_frames=0),
        lambda: BinaryRewardClassifier(PoseEnv(), len, hold_s=-0.1),
        lambda: BinaryRewardClassifier(PoseEnv(), len, hold_s=0.5),  # this env does not tell its rate
        lambda: NWayRewardClassifier(PoseEnv(), len, -1),
        lambda: MultiStageRewardClassifier(PoseEnv(), []),
        lambda: TaskGraphRewardClassifier(PoseEnv(), {}),
        lambda: TaskGraphRewardClassifier(PoseEnv(), {0: len, 1: len}, {0: 1}),
        lambda: TaskGraphRewardClassifier(PoseEnv(), {0: len}, {0: 1}),
        lambda: FrontCamera(PoseEnv()),
    ],
)
def test_what_cannot_judge_is_refused(build):
    with pytest.raises(InvalidConfiguration):
        build()


@pytest.mark.parametrize("logits", [(1.0, 2.0), float("nan")], ids=["two", "nan"])
def test_bad_logits_are_refused(logits):
    with pytest.raises(InvalidConfiguration, match="one finite logit"):
        run(BinaryRewardClassifier(PoseEnv(), lambda observation: logits), 1)
    with pytest.raises(InvalidConfiguration, match="class 2"):
        run(NWayRewardClassifier(PoseEnv(), lambda observation: logits, 2), 1)
