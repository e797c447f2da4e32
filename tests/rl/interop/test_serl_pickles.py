"""Pickled demonstrations of SERL and HIL-SERL become whole episodes, with the ends told apart that the files mix up."""

import pickle
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from rl.cli import main
from rl.data.demos import load_demos, summarize_demos
from rl.data.journal import TransitionJournal
from rl.data.replay_buffer import ReplayBuffer
from rl.data.schema import SCALAR
from rl.errors import DataError
from rl.interop.demo_import import Spaces
from rl.interop.serl_pickles import SerlOptions, import_serl, pickles_in

BOX = gym.spaces.Box
ACTIONS = BOX(-1, 1, (2,), np.float32)
SPACES = Spaces(
    gym.spaces.Dict(state=BOX(-np.inf, np.inf, (1, 19), np.float32), wrist=BOX(0, 255, (1, 4, 4, 3), np.uint8)),
    ACTIONS,
)


def observation(episode: int, step: int) -> dict[str, np.ndarray]:
    """What SERL's wrappers give: a frame axis, a float64 state, bytes for images."""
    state = np.arange(19.0)[None] + 100 * episode + step / 10
    return {"state": state, "wrist": np.full((1, 4, 4, 3), 10 * episode + step, np.uint8)}


def trajectory(episode: int, length: int, *, end: str = "success", **infos) -> list[dict]:
    """Transitions as the original's recorder of demonstrations makes them: mask 0 at every end."""
    steps = []
    for step in range(length):
        done = step == length - 1 and end != "cut"
        good = done and end == "success"
        steps.append({
            "observations": observation(episode, step),
            "actions": np.full(2, step / 100),
            "next_observations": observation(episode, step + 1),
            "rewards": int(good),
            "masks": 1.0 - done,
            "dones": done,
            **({"infos": {name: value(step, good) for name, value in infos.items()}} if infos else {}),
        })  # fmt: skip
    return steps


def save(path: Path, *contents) -> Path:
    path.write_bytes(b"".join(pickle.dumps(content) for content in contents))
    return path


def convert(out: Path, *sources: Path, spaces: Spaces | None = None, **options):
    return import_serl(sources, out, spaces, SerlOptions(**options), lambda path: path.open("rb"))


def blocks(path: Path) -> list[dict]:
    with TransitionJournal(path, read_only=True) as journal:
        return [block.transitions for block in journal.blocks()]


@pytest.fixture
def two(tmp_path: Path) -> Path:
    return save(tmp_path / "two.pkl", trajectory(0, 3) + trajectory(1, 2))


def test_episodes_come_back_number_for_number(tmp_path: Path, two: Path):
    summary = convert(tmp_path / "demos", two)
    assert (summary.episodes, summary.transitions, summary.successes, summary.return_mean) == (2, 5, 2, 1.0)
    for number, (batch, length) in enumerate(zip(blocks(tmp_path / "demos"), (3, 2), strict=True)):
        for name, shift in (("observations", 0), ("next_observations", 1)):
            for key, value in batch[name].items():
                expected = np.stack([observation(number, step + shift)[key] for step in range(length)])
                np.testing.assert_array_equal(value, expected.astype(value.dtype))
        assert batch["observations"]["wrist"].dtype == np.uint8
        np.testing.assert_allclose(batch["actions"], np.arange(length)[:, None].repeat(2, 1) / 100, rtol=1e-6)
        np.testing.assert_array_equal(batch["rewards"], np.arange(length) == length - 1)
        np.testing.assert_array_equal(batch["masks"], np.arange(length) != length - 1)
        np.testing.assert_array_equal(batch["dones"], np.arange(length) == length - 1)


@pytest.mark.parametrize("shape", ["list", "trajectories", "one pickle each", "single transitions", "two files"])
def test_every_shape_of_file_gives_the_same_demonstrations(tmp_path: Path, two: Path, shape: str):
    first, second = trajectory(0, 3), trajectory(1, 2)
    contents = {
        "list": [[[*first, *second]]],
        "trajectories": [[[first, second]]],
        "one pickle each": [[first, second]],
        "single transitions": [[*first, *second]],
        "two files": [[first], [second]],
    }[shape]
    files = [save(tmp_path / f"part_{k}.pkl", *content) for k, content in enumerate(contents)]
    convert(tmp_path / "expected", two)
    convert(tmp_path / "found", *files)
    for found, expected in zip(blocks(tmp_path / "found"), blocks(tmp_path / "expected"), strict=True):
        np.testing.assert_equal(found, expected)


def test_they_load_into_a_buffer_of_the_environment(tmp_path: Path, two: Path):
    for name, spaces in (("inferred", None), ("given", SPACES)):
        convert(tmp_path / name, two, spaces=spaces)
        buffer = ReplayBuffer(SPACES.observation, SPACES.action, 5, seed=0)
        assert load_demos(tmp_path / name, buffer, SPACES.observation, SPACES.action).transitions == len(buffer) == 5


def test_a_state_learner_gets_the_state_alone(tmp_path: Path, two: Path):
    flat = BOX(-np.inf, np.inf, (19,), np.float32)
    convert(tmp_path / "demos", two, spaces=Spaces(flat, ACTIONS))
    np.testing.assert_allclose(blocks(tmp_path / "demos")[0]["observations"][1], observation(0, 1)["state"][0])


def test_hil_serls_infos_give_penalty_and_success(tmp_path: Path):
    infos = {"grasp_penalty": lambda step, good: -0.02 * (step == 1), "succeed": lambda step, good: np.bool_(False)}
    file = save(tmp_path / "hil.pkl", trajectory(0, 3, **infos))
    assert convert(tmp_path / "demos", file).successes == 0, "what the environment says counts more than the reward"
    (batch,) = blocks(tmp_path / "demos")
    np.testing.assert_allclose(batch["grasp_penalty"], [0, -0.02, 0])
    buffer = ReplayBuffer(SPACES.observation, SPACES.action, 3, seed=0, extras={"grasp_penalty": SCALAR})
    load_demos(tmp_path / "demos", buffer, SPACES.observation, SPACES.action, extras={"grasp_penalty": 0.0})
    np.testing.assert_allclose(buffer.sample(3, indices=np.arange(3))["grasp_penalty"], [0, -0.02, 0])
    convert(tmp_path / "without", file, grasp_penalty=False)
    assert "grasp_penalty" not in blocks(tmp_path / "without")[0]


def test_the_penalty_that_an_actor_stored_beside_the_reward_counts_too(tmp_path: Path):
    steps = [step | {"grasp_penalty": -0.5} for step in trajectory(0, 2)]
    del steps[1]["grasp_penalty"]
    convert(tmp_path / "demos", save(tmp_path / "actor.pkl", steps))
    np.testing.assert_array_equal(blocks(tmp_path / "demos")[0]["grasp_penalty"], [-0.5, 0])


def test_a_penalty_that_appears_halfway_is_refused(tmp_path: Path):
    """H10: a field that only some transitions have left garbage in the original's buffer."""
    infos = {"grasp_penalty": lambda step, good: 0.0}
    file = save(tmp_path / "mixed.pkl", trajectory(0, 2) + trajectory(1, 2, **infos))
    with pytest.raises(DataError, match="--no-grasp-penalty"):
        convert(tmp_path / "demos", file)
    assert convert(tmp_path / "demos", file, grasp_penalty=False).episodes == 2


def test_masks_and_dones_are_two_facts(tmp_path: Path):
    """A recorder that told time limits apart wrote mask 1 at them; they stay what they were."""
    limited = trajectory(0, 3)
    limited[-1] |= {"masks": 1.0, "rewards": 0}
    convert(tmp_path / "demos", save(tmp_path / "demo.pkl", limited + trajectory(1, 3)))
    for batch, masks in zip(blocks(tmp_path / "demos"), ([1, 1, 1], [1, 1, 0]), strict=True):
        np.testing.assert_array_equal(batch["masks"], masks)
        np.testing.assert_array_equal(batch["dones"], [0, 0, 1])


def test_a_time_limit_that_was_stored_as_failure_is_undone(tmp_path: Path):
    """S18, H3: only episodes as long as the limit, and only those without success."""
    episodes = trajectory(0, 4, end="timeout") + trajectory(1, 4) + trajectory(2, 3, end="timeout")
    convert(tmp_path / "demos", save(tmp_path / "demo.pkl", episodes), time_limit=4)
    assert [batch["masks"][-1] for batch in blocks(tmp_path / "demos")] == [1, 0, 0]


def test_a_cut_is_no_failure(tmp_path: Path):
    """S10, H1: bursts of interventions follow one another without a mark, and are not one episode."""
    bursts = trajectory(0, 5, end="cut")[1:3] + trajectory(1, 3, end="cut") + trajectory(2, 2)
    convert(tmp_path / "demos", save(tmp_path / "demo.pkl", bursts))
    found = blocks(tmp_path / "demos")
    assert [len(batch["dones"]) for batch in found] == [2, 3, 2]
    assert [(batch["masks"][-1], batch["dones"][-1]) for batch in found] == [(1, 1), (1, 1), (0, 1)]


def test_the_files_of_a_folder_are_read_in_their_numbers_order(tmp_path: Path):
    """H2: an episode that goes on in the next file stays one episode."""
    steps = trajectory(0, 6)
    for number, part in ((900, steps[:2]), (1000, steps[2:4]), (11000, steps[4:])):
        save(tmp_path / f"transitions_{number}.pkl", part)
    assert [path.name for path in pickles_in([tmp_path])] == [f"transitions_{k}.pkl" for k in (900, 1000, 11000)]
    assert convert(tmp_path / "demos", tmp_path).episodes == 1


def test_z_only_keeps_fourteen_numbers(tmp_path: Path, two: Path):
    """gripper (0), force (1-3), z (6), torque (10-12), velocity (13-18); images stay."""
    convert(tmp_path / "demos", two, z_axis_only=True)
    batch = blocks(tmp_path / "demos")[0]
    for name, shift in (("observations", 0.0), ("next_observations", 0.1)):
        assert batch[name]["state"].shape == (3, 1, 14)
        np.testing.assert_allclose(batch[name]["state"][0, 0] - shift, [0, 1, 2, 3, 6, *range(10, 19)], rtol=1e-6)
        assert batch[name]["wrist"].shape == (3, 1, 4, 4, 3)
    short = trajectory(0, 1)
    short[0]["observations"] = {"state": np.zeros((1, 7))}
    file = save(tmp_path / "short.pkl", short)
    with pytest.raises(DataError, match="19 numbers"):
        convert(tmp_path / "more", file, z_axis_only=True)


def broken(change) -> list[dict]:
    steps = trajectory(0, 2)
    change(steps[1])
    return steps


REFUSED = {
    "masks": lambda step: step.pop("masks"),
    "state": lambda step: step["next_observations"].pop("state"),
    "finite": lambda step: step["observations"]["state"].__setitem__((0, 0), np.nan),
    "scale the actions": lambda step: step["actions"].__setitem__(0, 1.5),
    "shape": lambda step: step.update(actions=np.zeros(3)),
    "one number": lambda step: step.update(rewards=np.zeros(2)),
    "holds float64": lambda step: step["next_observations"].update(wrist=np.zeros((1, 4, 4, 3))),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_does_not_fit_is_refused_and_leaves_no_file(tmp_path: Path, reason: str):
    steps = trajectory(0, 3) + broken(REFUSED[reason])
    with pytest.raises(DataError, match=reason):
        convert(tmp_path / "demos", save(tmp_path / "demo.pkl", steps), spaces=SPACES)
    assert [path.name for path in tmp_path.iterdir()] == ["demo.pkl"]


def test_no_demonstrations_are_an_error(tmp_path: Path, two: Path):
    for sources in ([save(tmp_path / "none.pkl", [])], [tmp_path / "missing.pkl"], [save(tmp_path / "text.pkl", "hi")]):
        with pytest.raises(DataError):
            convert(tmp_path / "demos", *sources)
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="folder"):
        convert(tmp_path / "demos", tmp_path / "folder")
    convert(tmp_path / "demos", two)
    with pytest.raises(DataError, match="never overwritten"):
        convert(tmp_path / "demos", two)


def test_the_command(tmp_path: Path, two: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "demos.sqlite"
    main(["import", "serl", str(two), "--out", str(out), "--time-limit", "100"])
    assert "2 episodes, 2 of them successful, 5 transitions" in " ".join(capsys.readouterr().out.split())
    assert summarize_demos(out).episodes == 2
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(SystemExit) as caught:
        main(["import", "serl", str(two), "--out", str(out)])
    assert caught.value.code == 2
    assert "never overwritten" in capsys.readouterr().err


def test_the_command_fits_the_data_to_an_environment(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Pendulum: three numbers, one action that the learner sees in [-1, 1]."""
    step = {"observations": {"state": np.zeros((1, 3))}, "next_observations": {"state": np.ones((1, 3))}}
    step |= {"actions": np.array([0.5]), "rewards": 1.0, "masks": 0.0, "dones": True}
    out = tmp_path / "demos.sqlite"
    main(["import", "serl", str(save(tmp_path / "a.pkl", [step])), "--out", str(out), "--env", "Pendulum-v1"])
    assert blocks(out)[0]["observations"].shape == (1, 3)
    wrong, other = save(tmp_path / "b.pkl", trajectory(0, 1)), tmp_path / "other.sqlite"
    with pytest.raises(SystemExit):
        main(["import", "serl", str(wrong), "--out", str(other), "--env", "Pendulum-v1"])
    assert "actions has the shape (2,)" in capsys.readouterr().err


def test_an_agent_that_sees_images_gets_them_as_its_environment_shows_them(tmp_path: Path):
    out, file = tmp_path / "demos.sqlite", save(tmp_path / "a.pkl", trajectory(0, 3))
    gym.register("OneCamera-v0", OneCamera)
    try:
        main(["import", "serl", str(file), "--out", str(out), "--env", "OneCamera-v0", "--agent", "drq"])
    finally:
        del gym.registry["OneCamera-v0"]
    observations = blocks(out)[0]["observations"]
    assert {name: value.shape for name, value in observations.items()} == {
        "state": (3, 1, 19),
        "wrist": (3, 1, 4, 4, 3),
    }


class OneCamera(gym.Env):
    """Shows what the trajectories here hold; nobody steps it."""

    observation_space = gym.spaces.Dict(
        state=BOX(-np.inf, np.inf, (19,), np.float32), wrist=BOX(0, 255, (4, 4, 3), np.uint8)
    )
    action_space = ACTIONS
