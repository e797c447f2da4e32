"""Laws of the wrappers that rename, scale, leave out, charge and record."""

from __future__ import annotations

import imageio_ffmpeg
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from envs.wrappers import (
    INTERVENE_ACTION,
    GripperClose,
    GripperPenalty,
    Quat2Euler,
    Remap,
    Scaling,
    SERLObsWrapper,
    UnnormalizeActionProprio,
    VideoRecorder,
    ZOnly,
)
from robotkit import InvalidCommand, InvalidConfiguration
from tests.envs.pose_env import PoseEnv

POSE = np.array((0.4, 0.1, 0.3, 1.0, 0.0, 0.0, 0.0))
ACTION = np.zeros(7, np.float32)


def test_six_numbers_leave_the_gripper_alone():
    inner = PoseEnv()
    env = GripperClose(inner)
    env.reset()
    action = np.linspace(-1, 1, 6, dtype=np.float32)
    inner.next_info = {INTERVENE_ACTION: np.append(action, np.float32(1.0))}
    told = env.step(action)[4][INTERVENE_ACTION]
    assert np.array_equal(inner.taken[0], [*action, 0.0])
    assert np.array_equal(told, action)
    with pytest.raises(InvalidCommand, match="GripperClose"):
        env.step(ACTION)
    with pytest.raises(InvalidConfiguration, match="seven"):
        GripperClose(env)


def test_serls_flat_state_has_19_numbers_and_14_without_the_place():
    """Order of the entries: gripper 1, force 3, pose, torque 3, velocity 6."""
    full = SERLObsWrapper(Quat2Euler(PoseEnv(POSE)))
    short = SERLObsWrapper(ZOnly(Quat2Euler(PoseEnv(POSE))))
    state, few = full.reset()[0]["state"], short.reset()[0]["state"]
    assert state.shape == full.observation_space["state"].shape == (19,)
    assert few.shape == short.observation_space["state"].shape == (14,)
    assert np.array_equal(few, np.delete(state, (4, 5, 7, 8, 9)))
    assert few[4] == np.float32(0.3)


def test_a_pattern_renames_lifts_and_leaves_out():
    env = Remap(PoseEnv(POSE, cameras=("front", "wrist")), {
        "image": ("images", "front"), "low": {"pose": ("state", "tcp_pose")}, "state": "state",
    })  # fmt: skip
    first, _ = env.reset()
    later = env.step(ACTION)[0]
    for observation, shade in ((first, 0), (later, 1)):
        assert observation in env.observation_space
        assert set(observation) == {"image", "low", "state"}
        assert (observation["image"] == shade).all()
        assert np.allclose(observation["low"]["pose"], POSE)
    with pytest.raises(InvalidConfiguration, match=r"'tcp_pos'.*tcp_pose"):
        Remap(PoseEnv(), ("state", "tcp_pos"))


ROWS = arrays(np.float64, 7, elements=st.floats(-5.0, 5.0))
SPREADS = arrays(np.float64, 7, elements=st.floats(0.1, 5.0))


@given(first=ROWS, spread=SPREADS, action=arrays(np.float32, 7, elements=st.floats(-1.0, 1.0, width=32)))
def test_actions_are_restored_and_a_humans_is_normalised(first, spread, action):
    for kind, second in (("normal", spread), ("bounds", first + spread)):
        inner = PoseEnv()
        env = UnnormalizeActionProprio(inner, Scaling.of(kind, first, second))
        env.reset()
        inner.next_info = {INTERVENE_ACTION: np.full(7, 0.3, np.float32)}
        told = env.step(action)[4][INTERVENE_ACTION]
        expected = first + action * spread if kind == "normal" else first + (action + 1) / 2 * spread
        assert np.allclose(inner.taken[0], expected, atol=1e-5)
        assert np.allclose(env.inward(told), 0.3, atol=1e-5)


def test_the_state_is_normalised_at_resets_and_at_steps():
    """S13: SERL's wrapper inherited twice, and its steps returned the state as it was."""
    plain = SERLObsWrapper(PoseEnv(POSE))
    state = plain.reset()[0]["state"].astype(np.float64)
    proprio = Scaling.of("normal", state - 2.0, np.full(state.size, 4.0))
    env = UnnormalizeActionProprio(plain, Scaling.of("bounds", np.full(7, -1.0), np.ones(7)), proprio)
    first, _ = env.reset()
    later = env.step(ACTION)[0]
    for observation in (first, later):
        assert observation in env.observation_space
        assert np.allclose(observation["state"], 0.5, atol=1e-6)


@pytest.mark.parametrize(
    "build",
    [
        lambda: Scaling.of("normal", np.zeros(3), np.array((1.0, 0.0, 1.0))),
        lambda: Scaling.of("bounds", np.zeros(3), np.ones(2)),
        lambda: Scaling.of("linear", np.zeros(3), np.ones(3)),
        lambda: UnnormalizeActionProprio(PoseEnv(), Scaling.of("normal", np.zeros(3), np.ones(3))),
        lambda: UnnormalizeActionProprio(PoseEnv(), *[Scaling.of("normal", np.zeros(7), np.ones(7))] * 2),
    ],
    ids=["constant", "lengths", "kind", "action", "state"],
)
def test_statistics_that_do_not_fit_are_refused(build):
    with pytest.raises(InvalidConfiguration):
        build()


@pytest.mark.parametrize(("goes_to", "rewards"), [("info", [1.0, 1.0]), ("reward", [1.0, 0.95])])
def test_a_change_of_the_gripper_is_charged_where_it_is_asked(goes_to, rewards):
    """PR#65: configurable; HIL-SERL keeps it apart from the reward, SERL adds it."""
    inner = PoseEnv()
    inner.reward = 1.0
    env = GripperPenalty(inner, -0.05, goes_to)
    env.reset()
    steps = []
    for changed in (False, True):
        inner.next_info = {"gripper_changed": changed}
        steps.append(env.step(ACTION))
    assert [step[1] for step in steps] == rewards
    assert [step[4]["grasp_penalty"] for step in steps] == [0.0, -0.05]


@pytest.mark.parametrize("options", [{"penalty": 0.1}, {"goes_to": "both"}], ids=str)
def test_a_penalty_that_pays_is_refused(options):
    with pytest.raises(InvalidConfiguration):
        GripperPenalty(PoseEnv(), **options)


@pytest.mark.parametrize("is_flat", [False, True], ids=["nested", "serl"])
def test_each_camera_can_have_its_own_video(tmp_path, is_flat):
    env = PoseEnv(cameras=("front", "wrist"))
    env.metadata = {"render_fps": 10}
    # Encoders take 16 pixels at a time, smaller images are scaled.
    env.observation_space["images"] = type(env.observation_space)(
        dict.fromkeys(env.cameras, type(env.observation_space["images"]["front"])(0, 255, (16, 16, 3), np.uint8))
    )
    enlarge(env)
    recorded = SERLObsWrapper(env) if is_flat else env
    for image in env.cameras:
        recorded = VideoRecorder(recorded, tmp_path, name=image, image=image)
    recorded.reset()
    recorded.step(ACTION)
    env.ends = True
    info = recorded.step(ACTION)[4]
    for image in env.cameras:
        assert info[f"video_{image}"] == str(tmp_path / f"{image}_00000.mp4")
        assert imageio_ffmpeg.count_frames_and_secs(info[f"video_{image}"])[0] == 3


def enlarge(env):
    """Images of 16 pixels instead of 4."""
    observe = env._observe

    def larger():
        observation = observe()
        images = {name: image.repeat(4, 0).repeat(4, 1) for name, image in observation["images"].items()}
        return {**observation, "images": images}

    env._observe = larger
