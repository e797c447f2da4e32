"""SERL's environments with a reward classifier: it alone decides, and where nothing can tell success they refuse."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import numpy as np
import pytest

import robotkit as rk
from examples import serl_envs
from examples.serl_envs import BIN, CABLE, make_serl_env, set_reward_classifiers
from rl.common.encoders import EncoderConfig
from rl.networks.reward_classifier import make_classifier
from rl.networks.reward_function import sample_of, save_reward_classifier

SHAPE = (32, 32, 3)


def store_classifier(folder: Path, cameras: tuple[str, ...], threshold: float) -> Path:
    """A classifier that knows nothing: every picture has a probability of about one half."""
    encoder = EncoderConfig("compact", image_keys=cameras, use_proprio=False, bottleneck_dim=4)
    folder.mkdir(exist_ok=True)
    network = make_classifier(0, sample_of(cameras, SHAPE), encoder)
    facts = {"encoder": encoder, "image_shape": SHAPE, "threshold": threshold}
    rest = {"threshold_rule": "none", "metrics": {}, "episodes": {}, "frames": {}}
    save_reward_classifier(folder, network, facts | rest)
    return folder


def one_step(env: gymnasium.Env):
    env.reset(seed=0)
    try:
        return env.step(np.zeros(env.action_space.shape, np.float32))
    finally:
        env.close()


@pytest.mark.parametrize(("threshold", "is_success"), [(0.01, True), (0.99, False)])
def test_the_classifier_s_threshold_decides_and_not_where_the_cable_is(
    tmp_path: Path, threshold: float, is_success: bool
):
    env = make_serl_env(CABLE, {0: store_classifier(tmp_path, ("wrist_1", "wrist_2"), threshold)})
    _, reward, terminated, _, info = one_step(env)
    assert (reward, terminated, info["success"]) == (float(is_success), is_success, is_success)


def test_each_way_has_its_classifier_and_success_leads_to_the_other(tmp_path: Path):
    classifiers = {way: store_classifier(tmp_path / str(way), ("front",), 0.01) for way in (0, 1)}
    env = make_serl_env(BIN, classifiers)
    assert "front" not in env.observation_space.spaces, "what the classifier sees is not for the policy"
    tasks = []
    for _ in range(3):
        tasks.append(env.reset(seed=0)[1]["task_id"])
        assert env.step(np.zeros(7, np.float32))[2]
    env.close()
    assert tasks == [0, 1, 0]


def test_a_penalty_outlives_the_classifier(tmp_path: Path):
    env = make_serl_env(BIN, {way: store_classifier(tmp_path / str(way), ("front",), 0.99) for way in (0, 1)})
    env.reset(seed=0)
    closing = env.step(np.array((0, 0, 0, 0, 0, 0, -1), np.float32))
    env.close()
    assert closing[1] == pytest.approx(-0.1)
    assert not closing[4]["success"]


@pytest.mark.parametrize("name", [BIN, CABLE])
def test_a_cell_that_cannot_tell_success_is_refused(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(serl_envs, "build", blinded(serl_envs.build))
    with pytest.raises(rk.InvalidConfiguration, match="nothing would tell success"):
        make_serl_env(name, {})


def blinded(build):
    def built(*arguments):
        env = build(*arguments)
        env.unwrapped.workcell.trackers = {}
        return env

    return built


def test_ids_take_their_classifier_by_name(tmp_path: Path):
    path = store_classifier(tmp_path, ("wrist_1",), 0.01)
    set_reward_classifiers(CABLE, {0: path})
    try:
        assert one_step(gymnasium.make(serl_envs.env_id(CABLE)))[4]["success"]
    finally:
        set_reward_classifiers(CABLE, {})
