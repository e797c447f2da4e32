"""A run with VICE: goals from recorded frames, a classifier step before each update, an exact continuation."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rl.agents.continuous.drq_config import DrqConfig
from rl.agents.continuous.vice import SUCCESSES
from rl.agents.continuous.vice_config import ViceConfig
from rl.cli import main
from rl.common.encoders import EncoderConfig
from rl.common.optimizers import OptimizerConfig
from rl.config import ReplayConfig, TrainConfig
from rl.data.demos import record_demos
from rl.data.labelled_frames import FrameWriter
from rl.errors import ConfigError, DataError, JournalError
from rl.link.messages import AgentSpec, build_space
from rl.training.goals import GoalBatches, load_goals
from rl.wrappers.make_env import make_env
from tests.rl.training.test_exact_resume import assert_same, collect, trained

ENV = "tests.support.tiny_pixels:FollowLight-v0"
CAMERAS = ("front", "wrist")
SIDE = 32


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def goals(tmp_path: Path) -> Path:
    """Two episodes of frames, each of one shade that tells its number: 100, 101, 102 and 200, 201."""
    path = tmp_path / "positives.sqlite"
    with FrameWriter(path) as writer:
        for episode, count in ((100, 3), (200, 2)):
            shades = [np.full((2 * SIDE, 2 * SIDE, 3), episode + n, np.uint8) for n in range(count)]
            writer.write(str(episode), [dict.fromkeys(CAMERAS, shade) for shade in shades])
    return path


def config(out: Path | None, goals: Path, steps: int = 1, demos: tuple[Path, ...] = ()) -> TrainConfig:
    encoder = EncoderConfig("compact", None, num_spatial_blocks=2, bottleneck_dim=8, proprio_latent_dim=4)
    vice = ViceConfig(
        encoder=encoder,
        critic_ensemble_size=3,
        hidden_dims=(16,),
        vice_hidden_dims=(16,),
        vice_bottleneck_dim=8,
        vice_optimizer=OptimizerConfig(1e-2),
    )
    return TrainConfig(
        env=ENV,
        out=out,
        goals=(goals,),
        steps=steps,
        frame_stack=2,
        batch_size=8,
        utd_ratio=2,
        env_steps_per_update=5,
        training_starts=40,
        compile=False,
        checkpoint_every=0,
        log_every=1,
        learner_threads=1,
        agent=vice,
        replay=ReplayConfig(capacity=80, demos=demos),
    )


def observation_space(settings: TrainConfig):
    return build_space(AgentSpec.of(ENV, make_env(ENV, adaptation=settings.adaptation())).observation)


def test_goals_are_stacks_of_neighbouring_frames_as_the_agent_sees_them(goals: Path):
    drawn = load_goals([goals], observation_space(config(None, goals)), CAMERAS, seed=0).sample(200)
    assert {key: images.shape for key, images in drawn.items()} == dict.fromkeys(CAMERAS, (200, 2, SIDE, SIDE, 3))
    assert (drawn["front"] == drawn["front"][:, :, :1, :1, :1]).all()
    stacks = {tuple(map(int, stack)) for stack in drawn["front"][:, :, 0, 0, 0]}
    assert stacks == {(100, 100), (100, 101), (101, 102), (200, 200), (200, 201)}
    np.testing.assert_array_equal(drawn["front"], drawn["wrist"])


class Counting:
    """A source and a stream of batches at once, both of which count on."""

    def __init__(self) -> None:
        self.count = 0

    def __next__(self):
        self.count += 1
        return {"rewards": np.full(4, self.count)}

    def sample(self, batch_size: int):
        self.count += 1
        images = np.full((batch_size, 2, SIDE, SIDE, 3), self.count, np.uint8)
        return {"next_observations": {"state": np.zeros((batch_size, 2)), **dict.fromkeys(CAMERAS, images)}}

    def state_dict(self):
        return self.count

    def load_state_dict(self, state):
        self.count = state


def test_half_of_the_classifiers_batch_is_replayed_and_draws_can_be_continued(goals: Path):
    space = observation_space(config(None, goals))
    source = Counting()
    batches = GoalBatches(source, source, load_goals([goals], space, CAMERAS, seed=3), 8)
    first = next(batches)
    np.testing.assert_array_equal(first["rewards"], np.full(4, 1))
    shown = first[SUCCESSES]["next_observations"]
    assert set(shown) == set(CAMERAS)
    assert (shown["front"][:4] == 2).all()
    assert (shown["front"][4:] >= 100).all()
    state = batches.state_dict()
    expected = next(batches)[SUCCESSES]["next_observations"]["wrist"]
    again = GoalBatches(source, source, load_goals([goals], space, CAMERAS, seed=9), 8)
    again.load_state_dict(state)
    np.testing.assert_array_equal(next(again)[SUCCESSES]["next_observations"]["wrist"], expected)


def test_an_interruption_changes_nothing_and_the_classifier_learns(tmp_path: Path, goals: Path):
    env = make_env(ENV, adaptation=config(None, goals).adaptation())
    demos = tmp_path / "demos.sqlite"
    record_demos(demos, env, lambda _: env.action_space.sample(), 3, seed=1, attempts_per_episode=50)
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    for out in (whole, torn):
        collect(env, out, 100)
    spec = AgentSpec.of(ENV, env)
    straight = trained(config(whole, goals, 100, (demos,)), spec)
    first_half = config(torn, goals, 70, (demos,))
    assert trained(first_half, spec)["updates"] == 6
    resumed = trained(replace(first_half, steps=100), spec)
    assert straight["updates"] == resumed["updates"] == 12
    assert_same(straight, resumed, "state")
    rows = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    losses = [row["vice/bce_loss"] for row in rows]
    assert np.mean(losses[-3:]) < losses[0]
    assert all(0.0 <= row["vice_rewards"] <= 1.0 for row in rows)


def test_goals_that_do_not_fit_are_refused(tmp_path: Path, goals: Path):
    space = observation_space(config(None, goals))
    with pytest.raises(JournalError, match="does not exist, and a file of transitions"):
        load_goals([tmp_path / "none.sqlite"], space, CAMERAS, seed=0)
    with FrameWriter(tmp_path / "front.sqlite") as writer:
        writer.write("0", [{"front": np.zeros((SIDE, SIDE, 3), np.uint8)}])
    with pytest.raises(DataError, match="no camera wrist"):
        load_goals([tmp_path / "front.sqlite"], space, CAMERAS, seed=0)
    gray = tmp_path / "gray.sqlite"
    with FrameWriter(gray) as writer:
        writer.write("0", [dict.fromkeys(CAMERAS, np.zeros((SIDE, SIDE, 1), np.uint8))])
    with pytest.raises(DataError, match="record them with the camera"):
        load_goals([gray], space, CAMERAS, seed=0)
    with FrameWriter(tmp_path / "empty.sqlite"), pytest.raises(DataError, match="no frame of success"):
        load_goals([tmp_path / "empty.sqlite"], space, CAMERAS, seed=0)


@pytest.mark.parametrize("command", ["train", "learner"])
def test_vice_without_goals_says_what_to_record(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("rl.utils.subprocesses.StopSignal.listen", lambda self: self)
    for given, said in (((), "no file of them is given"), (("--goals", "nowhere.sqlite"), "no nowhere.sqlite")):
        with pytest.raises(SystemExit) as ended:
            main([command, "--preset", "vice", *given, "--out", str(tmp_path / "run")])
        assert ended.value.code == 2
        error = capsys.readouterr().err
        assert said in error
        assert "record success" in error
    assert not (tmp_path / "run").exists()


def test_settings_that_vice_cannot_use_are_refused(goals: Path):
    settings = config(None, goals)
    with pytest.raises(ConfigError, match="must be 1, not 3"):
        replace(settings, replay=ReplayConfig(n_step=3)).require_goals()
    with pytest.raises(ConfigError, match="agent='drq' has no use for it"):
        replace(settings, agent=DrqConfig()).require_goals()
    with pytest.raises(ConfigError, match="keeps no images"):
        ViceConfig(encoder=EncoderConfig("resnet-pretrained", None), cached_features="float16")
