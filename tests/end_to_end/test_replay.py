"""A recorded episode can be taken again: to the last bit in the same lock-step cell, and measurably in another one."""

from contextlib import closing
from pathlib import Path

import gymnasium as gym
import pytest
from rich.console import Console

from rl.errors import ConfigError, DataError
from rl.evaluation.replay import ReplayOptions, read_episodes, replay_episode, run_replay
from rl.recording.options import RecordDemosOptions
from rl.recording.record_demos import run_record_demos
from rl.wrappers.make_env import EnvAdapterConfig, adapt, make_env

ENV = "envs:PandaPickCube-v0"
EXPERT = "envs.experts.tracker:pick_cube"
ADAPTATION = EnvAdapterConfig(frame_stack=3)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("replay") / "demos.sqlite"
    options = RecordDemosOptions(ENV, path, expert=EXPERT, episodes=3, seed=5, frame_stack=ADAPTATION.frame_stack)
    run_record_demos(options, Console(quiet=True))
    return path


def test_lock_step_reproduces_every_observation_exactly(recording: Path):
    results = run_replay(ReplayOptions(recording), Console(quiet=True))
    assert [one.number for one in results] == [0, 1, 2]
    for one in results:
        assert one.is_exact
        assert one.total_reward == pytest.approx(one.recorded_reward, rel=1e-6)
        assert one.success


def test_episodes_are_replayed_in_any_order_from_their_own_seeds(recording: Path):
    first, _, last = read_episodes(recording)
    assert first.origin["seed"] != last.origin["seed"]
    with closing(make_env(ENV, None, ADAPTATION)) as env:
        assert replay_episode(env, last).is_exact
        assert replay_episode(env, first).is_exact
        assert not replay_episode(env, first.__class__(0, first.transitions, last.origin)).is_exact


def test_another_cell_shows_how_far_it_is_off(recording: Path):
    """The newer masses of the gripper: the same actions, a slightly different arm."""
    other = gym.make(ENV, cell_overrides={"world.masses": "3.x"})
    with closing(adapt(other, ADAPTATION)) as env:
        one = replay_episode(env, next(read_episodes(recording)))
    assert one.deviation[0] < 1e-6
    assert 1e-6 < max(one.deviation) < 1.0


def test_what_cannot_be_replayed_is_said(recording: Path):
    with pytest.raises(ConfigError, match="no episode 7"):
        run_replay(ReplayOptions(recording, episodes=(7,)), Console(quiet=True))
    with pytest.raises(DataError, match="not the same environment"), closing(make_env(ENV)) as env:
        replay_episode(env, next(read_episodes(recording)))
