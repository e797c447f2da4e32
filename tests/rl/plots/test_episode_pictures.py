"""Pictures of episodes show the figures of the episodes."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from rl.common.evaluation import Episode
from rl.data.demos import DemoWriter, record_demos
from rl.plots.episode_pictures import draw_demos, draw_evaluation, draw_replay
from rl.wrappers.make_env import EnvAdapterConfig, adapt, make_env, open_env
from rl.wrappers.tcp_position import find_tool_position

TINY, PIXELS = "tests.support.tiny_env:FollowTarget-v0", "tests.support.tiny_pixels:FollowLight-v0"
BLUE, RED = to_rgba("tab:blue"), to_rgba("tab:red")


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that were drawn, instead of their files."""
    drawn: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *_, **__: drawn.append(self))
    return drawn


def bars(axes):
    """Height and colour by episode."""
    return {round(bar.get_x() + bar.get_width() / 2): (bar.get_height(), bar.get_facecolor()) for bar in axes.patches}


@pytest.mark.parametrize(
    "adaptation", [EnvAdapterConfig(), EnvAdapterConfig(frame_stack=3), EnvAdapterConfig(1, 2, True)]
)
def test_the_tools_position_is_found_in_what_the_agent_sees(adaptation):
    env_id = "envs:PandaPickCubeVision-v0" if adaptation.sees_images else "envs:PandaPickCube-v0"
    with closing(open_env(env_id)) as raw:
        tool, env = find_tool_position(raw.observation_space), adapt(raw, adaptation)
        env.reset(seed=1)
        seen = [env.step(np.array([1.0, -0.5, 0.3, 0.0], np.float32))[0] for _ in range(3)]
        where = raw.unwrapped.workcell.robot.get_state().tcp_pose_in_base[:3]
    np.testing.assert_allclose(tool.of_one(seen[-1]), where, atol=1e-3)
    assert np.abs(tool.of_one(seen[0]) - tool.of_one(seen[-1])).max() > 1e-3


def test_there_may_be_no_tool():
    with closing(open_env(TINY)) as env:
        assert find_tool_position(env.observation_space) is None


def test_demonstrations_are_drawn_as_they_are(tmp_path: Path, figures: list[Figure]):
    file = tmp_path / "demos.sqlite"
    random = np.random.default_rng(0)
    lengths, rewards, successes = (3, 5, 4), (1.0, -2.0, 0.5), (True, False, True)
    with closing(make_env(TINY)) as env, DemoWriter(file, env.observation_space, env.action_space) as writer:
        for length, reward, success in zip(lengths, rewards, successes, strict=True):
            rows = [
                {"observations": random.random(2, np.float32), "next_observations": random.random(2, np.float32),
                 "actions": np.array([0.5], np.float32), "rewards": np.float32(reward), "masks": np.float32(1),
                 "dones": np.float32(step == length - 1)}
                for step in range(length)
            ]  # fmt: skip
            writer.write_episode(rows, success=success)
    draw_demos(file, tmp_path / "demos.png")
    returns, steps, actions = figures[0].axes
    colors = [BLUE if success else RED for success in successes]
    assert bars(returns) == {n: (lengths[n] * rewards[n], colors[n]) for n in range(3)}
    assert bars(steps) == {n: (lengths[n], colors[n]) for n in range(3)}
    (shares,) = (np.asarray(image.get_array()) for image in actions.images)
    assert shares.shape[1] == 1
    assert shares.max() == 1.0
    assert np.linspace(-1, 1, len(shares))[shares[:, 0].argmax()] == pytest.approx(0.5, abs=0.05)
    assert "2 successful" in figures[0].get_suptitle()


def test_the_first_and_last_images_of_episodes_are_shown(tmp_path: Path, figures: list[Figure]):
    file = tmp_path / "demos.sqlite"
    with closing(make_env(PIXELS, adaptation=EnvAdapterConfig(1, 2, True))) as env:
        record_demos(file, env, lambda _: env.action_space.sample(), 20, seed=0, attempts_per_episode=50)
    draw_demos(file, tmp_path / "demos.png")
    upper, lower = figures[0].subfigs
    assert len(upper.axes) == 3
    shown = [axes for axes in lower.axes if axes.images]
    assert [axes.get_title() for axes in shown[:4]] == [
        f"episode {number}, {when}" for number in (0, 2) for when in ("first", "last")
    ]
    assert len(shown) == 16
    assert all(axes.images[0].get_array().shape == (96, 192, 3) for axes in shown)


def test_an_evaluation_shows_every_episode_and_the_interval(tmp_path: Path, figures: list[Figure]):
    draw_evaluation([Episode(5.0, 10, True, 9), Episode(2.0, 20, False)], tmp_path / "eval.png", "x")
    returns, steps, rate = figures[0].axes
    assert bars(returns) == {0: (5.0, BLUE), 1: (2.0, RED)}
    assert bars(steps) == {0: (10, BLUE), 1: (20, RED)}
    assert rate.get_title() == "50 %, 95 % between 9 and 91 %"
    draw_evaluation([Episode(5.0, 10)], tmp_path / "eval.png", "x")
    assert len(figures[1].axes) == 2


def test_a_replay_shows_both_paths_and_their_difference(tmp_path: Path, figures: list[Figure]):
    then = np.arange(12.0).reshape(4, 3)
    draw_replay([[0.0, 0.1, 0.3]], [(then, then + 1)], tmp_path / "replay.png", "x")
    difference, above, side = figures[0].axes
    np.testing.assert_array_equal(difference.lines[0].get_ydata(), [0.0, 0.1, 0.3])
    for axes, column in ((above, 1), (side, 2)):
        for line, path in zip((axes.lines[0], axes.lines[2]), (then, then + 1), strict=True):
            np.testing.assert_array_equal(line.get_xydata(), path[:, [0, column]])


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 11, 20, 50])
@pytest.mark.parametrize("is_success", [True, False])
def test_an_evaluation_in_which_all_episodes_end_alike_is_drawn(tmp_path, count, is_success):
    """There the interval ends at the rate itself, up to rounding on either side."""
    draw_evaluation([Episode(1.0, 1, is_success, 1 if is_success else None)] * count, tmp_path / "eval.png", "x")
    assert (tmp_path / "eval.png").stat().st_size > 0
