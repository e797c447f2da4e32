"""Laws of the frames in a row that `ClassifierReward` waits for, in every environment that an agent gets."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from envs.wrappers import BinaryRewardClassifier
from rl.config import TrainConfig, load_config, save_config
from rl.data.transition import make_transition
from rl.errors import ConfigError
from rl.evaluation.replay import _adaptation
from rl.evaluation.replay_options import ReplayOptions
from rl.networks.reward_classifier import make_classifier
from rl.networks.reward_function import ClassifierFacts, RewardClassifier, sample_of
from rl.offline.bc_options import SETTINGS, TrainBcOptions
from rl.presets import PRESETS, make_preset
from rl.recording.options import RecordDemosOptions
from rl.training.settings import with_settings
from rl.wrappers.adapter_config import ONE_FRAME, ClassifierRewardConfig, EnvAdapterConfig
from rl.wrappers.classifier_reward import ClassifierReward
from rl.wrappers.repeat_action import RepeatAction
from tests.rl.wrappers.test_classifier_reward import ENCODER, SHAPE, facts
from tests.support.judged_frames import ACTION, Script, logits, paid_by_rule, run_episode

PASSES = st.lists(st.booleans(), min_size=1, max_size=30)
FRAMES = st.integers(1, 4)


class Shown(RewardClassifier):
    """Takes the number that is shown for the logit."""

    def __init__(self) -> None:
        network = make_classifier(0, sample_of(("front",), SHAPE), ENCODER)
        super().__init__(network, ClassifierFacts(**facts(), sha256=""), torch.device("cpu"))

    def __call__(self, observation):
        return torch.tensor([float(observation["number"][0])])


class WithCamera(gym.ObservationWrapper):
    """The number of a `Script`, beside a camera as the classifier was trained on."""

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        image = gym.spaces.Box(0, 255, SHAPE, np.uint8)
        self.observation_space = gym.spaces.Dict({"number": env.observation_space, "front": image})

    def observation(self, number):
        return {"number": number, "front": np.zeros(SHAPE, np.uint8)}


SHOWN = Shown()


def rewarded(script: Script, **config) -> gym.Env:
    return ClassifierReward(WithCamera(script), SHOWN, ClassifierRewardConfig(**config))


@given(passes=PASSES, frames=FRAMES)
def test_the_first_step_that_so_many_in_a_row_lead_to_is_paid_and_ends_the_episode(passes, frames):
    steps = run_episode(rewarded(Script(logits(passes)), positive_frames=frames))
    law = paid_by_rule(passes, frames)
    length = law.index(True) + 1 if any(law) else len(passes)
    assert [reward for reward, *_ in steps] == [float(paid) for paid in law[:length]]
    assert [terminated for _, terminated, *_ in steps] == law[:length]
    assert [info["success"] for *_, info in steps] == law[:length]


@given(passes=PASSES, frames=FRAMES)
def test_it_is_the_rule_of_the_wrapper_for_environments(passes, frames):
    theirs = BinaryRewardClassifier(Script(logits(passes)), lambda shown: shown, positive_frames=frames)
    ours = rewarded(Script(logits(passes)), positive_frames=frames)
    kept = ("success", "is_success", "positive_frames")
    here, there = (
        [(*step, {name: info[name] for name in kept}) for *step, info in run_episode(env)] for env in (ours, theirs)
    )
    assert here == there


@given(passes=PASSES)
def test_one_frame_is_serls_rule(passes):
    """The first frame that passes pays and ends the episode, whatever was before it."""
    steps = run_episode(rewarded(Script(logits(passes)), positive_frames=1))
    first = passes.index(True) if any(passes) else len(passes)
    assert len(steps) == min(first + 1, len(passes))
    assert [reward for reward, *_ in steps] == [float(step == first) for step in range(len(steps))]


def test_no_frame_of_the_episode_before_counts():
    env = rewarded(Script(logits([True])))
    for _ in range(3):
        ((reward, terminated, truncated, info),) = run_episode(env)
        assert (reward, terminated, truncated, info["positive_frames"]) == (0.0, False, True, 1)


def test_an_episode_that_is_cut_before_the_last_frame_is_bootstrapped_and_a_paid_one_is_not():
    def last(passes):
        reward, *ends, info = run_episode(rewarded(Script(logits(passes)), positive_frames=2))[-1]
        stored = make_transition(ACTION, ACTION, ACTION, reward, *ends, info)
        return stored["rewards"], stored["masks"], stored["dones"]

    assert last([False, True]) == (0.0, 1.0, 1.0)
    assert last([True, True]) == (1.0, 0.0, 1.0)


def test_a_torn_step_neither_counts_nor_pays():
    """Its transition is left out, and a reward on it would be lost."""
    steps = run_episode(rewarded(Script(logits([True] * 4), torn=[1]), positive_frames=2))
    assert [(reward, terminated) for reward, terminated, *_ in steps] == [(0.0, False), (0.0, False), (1.0, True)]
    torn_end = run_episode(rewarded(Script(logits([True, True]), torn=[1]), positive_frames=2))[-1]
    assert (torn_end[0], torn_end[1], torn_end[2]) == (0.0, False, True)


def test_what_is_no_number_passes_for_nothing():
    steps = run_episode(rewarded(Script([5.0, np.nan, 5.0, np.nan])))
    assert [(reward, terminated) for reward, terminated, *_ in steps] == [(0.0, False)] * 4


@pytest.mark.parametrize(("hold_s", "steps_hz", "frames"), [(0.5, 10, 6), (0.3, 10, 4), (0.25, 10, 4), (0.02, 10, 2)])
@pytest.mark.parametrize("times", [1, 2])
def test_a_time_is_counted_in_control_periods_also_within_an_action(hold_s, steps_hz, frames, times):
    env = rewarded(Script([5.0] * 60, steps_hz=steps_hz), hold_s=hold_s)
    steps = run_episode(RepeatAction(env, times))
    assert len(steps) == math.ceil(frames / times)
    assert steps[-1][3]["positive_frames"] == frames


@pytest.mark.parametrize(
    "config", [{"positive_frames": 0}, {"hold_s": -1.0}, {"hold_s": math.nan}, {"hold_s": math.inf}]
)
def test_what_no_frames_can_fulfil_is_refused(config):
    with pytest.raises(ConfigError):
        ClassifierRewardConfig(**config)


def test_a_time_needs_a_rate():
    with pytest.raises(ConfigError, match="render_fps"):
        rewarded(Script([5.0]), hold_s=0.5)


ASKED = ClassifierRewardConfig(3, 0.5)


@pytest.mark.parametrize("sees_images", [False, True])
def test_the_rule_reaches_training_recording_evaluation_and_cloning(sees_images):
    agent = make_preset("drq-demo" if sees_images else "demo")
    pictures = {"sees_images": sees_images}
    options = [
        replace(agent, classifier=ASKED),
        RecordDemosOptions("X-v0", Path("x"), expert="a:b", classifier=ASKED, **pictures),
        TrainBcOptions((Path("d"),), Path("x"), classifier=ASKED, **pictures),
    ]
    assert all(one.adaptation().classifier == ASKED for one in options)


SERLS = {"serl", "drq", "vice", "hil-serl", "hil-serl-single", "hil-serl-dual"}


@pytest.mark.parametrize("name", PRESETS)
def test_presets_that_promise_serls_settings_have_its_rule_and_the_others_two_frames(name):
    assert make_preset(name).classifier == (ONE_FRAME if name in SERLS else ClassifierRewardConfig(2))


def test_what_is_stored_keeps_its_rule_and_what_is_older_has_that_of_one_frame(tmp_path):
    run, clone = tmp_path / "config.json", tmp_path / "bc"
    clone.mkdir()
    bc = TrainBcOptions((Path("d"),), clone, classifier=ASKED)
    save_config(TrainConfig(classifier=ASKED), run)
    SETTINGS.write(clone, bc)
    recorded = asdict(EnvAdapterConfig(classifier=ASKED))

    def rules():
        return [
            load_config(run).classifier,
            SETTINGS.read(clone).classifier,
            _adaptation(ReplayOptions(Path("d")), recorded).classifier,
        ]

    assert rules() == [ASKED] * 3
    for path in (run, clone / SETTINGS.name):
        stored = json.loads(path.read_text())
        del stored["classifier"]
        path.write_text(json.dumps(stored))
    del recorded["classifier"]
    assert rules() == [ONE_FRAME] * 3


def test_python_names_the_rule_by_its_words():
    settings = {"positive_frames": 3, "hold_s": 0.5, "allow_chance": True}
    assert with_settings(TrainConfig(), settings).classifier == ClassifierRewardConfig(3, 0.5, True)
    with pytest.raises(ConfigError, match="positive_frames must be a whole number"):
        with_settings(TrainConfig(), {"positive_frames": 1.5})
    with pytest.raises(ConfigError, match="positive_frames must be at least 1, not 0"):
        with_settings(TrainConfig(), {"positive_frames": 0})
