"""A reward classifier's predictions are the only reward and success, and an evaluation still counts the truth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from rich.console import Console

from rl.agents.continuous.agent_configs import default_agent_config
from rl.common.encoders import EncoderConfig
from rl.common.evaluation import ENV_SUCCESS, Episode, run_episodes, summarize
from rl.config import TrainConfig
from rl.errors import CheckpointError, ConfigError
from rl.evaluation.replay import ReplayOptions, run_replay
from rl.networks.reward_classifier import make_classifier
from rl.networks.reward_function import ClassifierFacts, RewardClassifier, sample_of, save_reward_classifier
from rl.recording.record_demos import RecordDemosOptions, run_record_demos
from rl.wrappers.adapter_config import ONE_FRAME, ClassifierRewardConfig, EnvAdapterConfig
from rl.wrappers.classifier_reward import ClassifierReward
from rl.wrappers.make_env import adapt
from tests.support.lamp_env import Lamp
from tests.support.tiny_pixels import FollowLight

ENCODER = EncoderConfig("compact", image_keys=("front",), use_proprio=False, num_spatial_blocks=2, bottleneck_dim=8)
SHAPE = (32, 32, 3)


def facts(**changes):
    base = {"encoder": ENCODER, "image_shape": SHAPE, "threshold": 0.5, "threshold_rule": "as it is", "metrics": {}}
    return base | {"episodes": {}, "frames": {}} | changes


def store_untrained(folder: Path, threshold: float, **changes) -> Path:
    """A classifier that nobody trained; everything reaches a threshold of 0."""
    folder.mkdir()
    network = make_classifier(0, sample_of(("front",), SHAPE), ENCODER)
    save_reward_classifier(folder, network, facts(threshold=threshold, **changes))
    return folder


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return store_untrained(tmp_path / "classifier", 0.0)


class Bright(RewardClassifier):
    """Sees success where the front camera's mean reaches a level."""

    def __init__(self, level: float) -> None:
        network = make_classifier(0, sample_of(("front",), SHAPE), ENCODER)
        super().__init__(network, ClassifierFacts(**facts(), sha256=""), torch.device("cpu"))
        self.level = level

    def __call__(self, observation):
        return torch.tensor([observation["images"]["front"].mean() - self.level])


class EndsOnSuccess(gym.Wrapper):
    """An environment that ends where it succeeds, and that pays for every step."""

    def step(self, action):
        observation, _, _, truncated, info = self.env.step(action)
        return observation, 5.0, info["success"], truncated, info


ON, OFF = np.ones(1, np.float32), -np.ones(1, np.float32)


def with_classifier(level: float, env: gym.Env | None = None) -> gym.Env:
    env = ClassifierReward(env or Lamp(), Bright(level), ONE_FRAME)
    env.reset(seed=1)
    return env


def test_nothing_but_the_verdict_pays_and_it_ends_the_episode():
    env = with_classifier(130.0, EndsOnSuccess(Lamp()))
    _, reward, terminated, _, info = env.step(OFF)
    assert (reward, terminated, info["success"], info[ENV_SUCCESS]) == (0.0, False, False, False)
    _, reward, terminated, _, info = env.step(ON)
    assert (reward, terminated, info["success"], info[ENV_SUCCESS]) == (1.0, True, True, True)
    assert info["success_probability"] > 0.5


def test_a_success_that_the_classifier_misses_neither_pays_nor_ends():
    _, reward, terminated, _, info = with_classifier(250.0, EndsOnSuccess(Lamp())).step(ON)
    assert (reward, terminated, info["success"], info[ENV_SUCCESS]) == (0.0, False, False, True)


def test_where_the_environment_is_silent_the_verdict_stands_alone():
    class Mute(gym.Wrapper):
        def step(self, action):
            return (*self.env.step(action)[:4], {})

    info = with_classifier(130.0, Mute(Lamp())).step(ON)[4]
    assert info["success"]
    assert ENV_SUCCESS not in info


@pytest.mark.parametrize(
    ("level", "action", "success", "predicted", "false", "missed"),
    [
        (130.0, ON, True, True, 0.0, 0.0),
        (130.0, OFF, False, False, 0.0, 0.0),
        (0.0, OFF, False, True, 1.0, 0.0),
        (250.0, ON, True, False, 0.0, 1.0),
    ],
)
def test_an_evaluation_counts_the_truth_and_the_false_predictions(level, action, success, predicted, false, missed):
    episodes = run_episodes(lambda _: action, with_classifier(level), 2, 3)
    assert [(one.success, one.predicted_success) for one in episodes] == [(success, predicted)] * 2
    summary = summarize(episodes)
    assert (summary["success_rate"], summary["false_successes"], summary["missed_successes"]) == (
        success,
        false,
        missed,
    )


def test_without_a_classifier_nothing_is_said_of_predictions():
    summary = summarize([Episode(1.0, 3, success=True, success_step=3)])
    assert "false_successes" not in summary
    assert "missed_successes" not in summary


def test_the_option_reaches_training_and_recording(directory: Path):
    asked = TrainConfig(agent=default_agent_config("drq"), reward_classifier=directory)
    recorded = RecordDemosOptions("X-v0", Path("x"), expert="a:b", sees_images=True, reward_classifier=directory)
    for adaptation in (asked.adaptation(), recorded.adaptation()):
        env = adapt(FollowLight(), adaptation)
        env.reset(seed=1)
        assert env.step(OFF)[1:3] == (0.0, False)
        _, reward, terminated, _, info = env.step(OFF)
        assert (reward, terminated, info["success"]) == (1.0, True, True)
        assert "success_probability" in info


def test_what_was_recorded_under_a_classifier_is_replayed_under_it(directory: Path, tmp_path: Path):
    env = "tests.support.tiny_pixels:FollowLight-v0"
    options = RecordDemosOptions(
        env, tmp_path / "d.sqlite", expert="tests.support.lamp_env:Blinker", episodes=1, sees_images=True,
        reward_classifier=directory,
    )  # fmt: skip
    quiet = Console(quiet=True)
    assert run_record_demos(options, quiet).return_mean == 1.0
    (again,) = run_replay(ReplayOptions(options.out), quiet)
    assert (again.steps, again.total_reward, again.is_exact) == (2, 1.0, True)
    (sooner,) = run_replay(ReplayOptions(options.out, positive_frames=1), quiet)
    assert len(sooner.deviation) == 2, "the observations after the reset and after the only step"
    strict = store_untrained(tmp_path / "strict", threshold=1.1)
    (other,) = run_replay(ReplayOptions(options.out, reward_classifier=strict), quiet)
    assert (other.total_reward, other.success) == (0.0, False)


def test_a_classifier_that_cannot_judge_is_explained(directory: Path, tmp_path: Path):
    class OneEyed(gym.ObservationWrapper):
        def __init__(self) -> None:
            super().__init__(Lamp())
            self.observation_space = gym.spaces.Dict({"wrist": Lamp.observation_space["images"]["wrist"]})

        def observation(self, observation):
            return {"wrist": observation["images"]["wrist"]}

    with pytest.raises(ConfigError, match=r"cannot be used in this environment.*no front\. Its cameras: wrist"):
        adapt(OneEyed(), EnvAdapterConfig(sees_images=True, reward_classifier=str(directory)))
    with pytest.raises(CheckpointError, match="holds no reward classifier"):
        adapt(Lamp(), EnvAdapterConfig(sees_images=True, reward_classifier=str(tmp_path / "nothing")))


@pytest.mark.parametrize(("low", "classes"), [(0.5, ()), (0.2, ()), (0.34, ("a", "b", "c")), (0.3, ("a", "b", "c"))])
def test_u12_a_classifier_that_may_as_well_guess_pays_only_if_that_is_asked_for(tmp_path: Path, caplog, low, classes):
    metrics = {"balanced_accuracy": 0.6, "balanced_accuracy_low": low}
    folder = tmp_path / "classifier"
    store_untrained(folder, 0.0, metrics=metrics)
    known = ClassifierFacts(**facts(metrics=metrics, classes=classes), sha256="")
    assert known.may_as_well_guess == (low <= (1 / 3 if classes else 0.5))
    if classes:
        return
    asked = EnvAdapterConfig(sees_images=True, reward_classifier=str(folder))
    with pytest.raises(ConfigError, match=r"no better than chance.*60%.*allow_chance"):
        adapt(Lamp(), asked)
    assert not caplog.messages
    adapt(Lamp(), replace(asked, classifier=ClassifierRewardConfig(allow_chance=True)))
    assert "no better than chance" in caplog.messages[0]


@pytest.mark.parametrize("metrics", [{}, {"accuracy": 0.3}, {"balanced_accuracy": 0.9, "balanced_accuracy_low": 0.8}])
def test_a_good_classifier_and_one_of_before_there_were_figures_pay(tmp_path: Path, metrics, caplog):
    folder = store_untrained(tmp_path / "classifier", 0.0, metrics=metrics)
    adapt(Lamp(), EnvAdapterConfig(sees_images=True, reward_classifier=str(folder)))
    assert not caplog.messages
