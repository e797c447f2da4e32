"""HG-DAgger: what a person corrects joins the demonstrations, nothing else does, and nothing of it is lost."""

from __future__ import annotations

import dataclasses
import json
import threading
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from rich.console import Console

from rl.agents.continuous.bc_config import BcConfig
from rl.cli import main
from rl.common.optimizer_config import OptimizerConfig
from rl.data.demos import record_demos
from rl.data.journal import TransitionJournal
from rl.errors import CheckpointError, CheckpointNotFound, ConfigError, EnvironmentInterrupted, RunExists
from rl.evaluation.evaluate import run_eval
from rl.offline.bc import load_bc_policy, train_bc
from rl.offline.bc_options import ALL_CAMERAS
from rl.offline.bc_options import SETTINGS as BC
from rl.training import hg_dagger
from rl.training.base_checkpoint import StoredPolicy
from rl.training.corrections import Corrections
from rl.training.hg_dagger import run_hg_dagger
from rl.training.hg_dagger_options import SETTINGS, HgDaggerOptions
from rl.training.recovery import Recovery
from rl.utils.checkpoint import Checkpoints
from rl.utils.run_directory import CHECKPOINTS, JOURNAL
from rl.wrappers.make_env import make_env
from tests.support.corrected_env import right_action
from tests.support.tiny_env import EPISODE_STEPS
from tests.support.tiny_pixels import SIDE

ENV = "tests.support.corrected_env:Magnitude-v0"
SILENT = Console(quiet=True)
CLONE = BcConfig(
    hidden_dims=(32, 32), optimizer=OptimizerConfig(1e-2, cosine_decay_steps="run"), std_min=0.05, standardises=True
)


class Stop:
    """Asks for the end from the n-th question on."""

    def __init__(self, questions: int = 10**9) -> None:
        self.left = questions

    def is_set(self) -> bool:
        self.left -= 1
        return self.left < 0

    def wait(self, timeout: float) -> bool:
        return self.is_set()


@pytest.fixture
def demos(tmp_path: Path) -> Path:
    path = tmp_path / "demos.sqlite"
    env = make_env("tests.support.corrected_env:EasyMagnitude-v0")
    record_demos(path, env, right_action, episodes=6, seed=3)
    env.close()
    return path


def options(demos: Path, out: Path, **changes: Any) -> HgDaggerOptions:
    base = HgDaggerOptions(
        demos=(demos,), out=out, env=ENV, rounds=2, episodes_per_round=3, epochs=6, batch_size=20,
        threads=1, held_out=0.0, bc=CLONE,
    )  # fmt: skip
    return dataclasses.replace(base, **changes)


def weights(out: Path, epochs: int | None = None) -> dict[str, torch.Tensor]:
    return Checkpoints(out / CHECKPOINTS).load(epochs)[1]["agent"]["modules"]


def stored(out: Path) -> dict[str, np.ndarray]:
    with TransitionJournal(out / JOURNAL, read_only=True) as journal:
        blocks = [block.transitions for block in journal.blocks()]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def rounds(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "rounds.jsonl").read_text().splitlines()]


def learned_from(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, np.ndarray]]:
    """Collects the data of every training of this test."""
    found: list[dict[str, np.ndarray]] = []
    rows = hg_dagger.Rows
    monkeypatch.setattr(hg_dagger, "Rows", lambda data: (found.append(data), rows(data))[1])
    return found


def test_the_demonstrations_and_the_executed_actions_of_the_person_are_learned_from_and_nothing_else(
    demos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    found = learned_from(monkeypatch)
    assert run_hg_dagger(options(demos, tmp_path / "run"), Stop(), SILENT) == 2
    everything = stored(tmp_path / "run")
    by_person = everything["is_intervention"] > 0
    assert len(by_person) == 2 * 3 * EPISODE_STEPS
    assert 0 < by_person.sum() < len(by_person)
    shown = 6 * EPISODE_STEPS
    for number, data in enumerate(found):
        so_far = by_person[: number * 3 * EPISODE_STEPS]
        for name in ("observations", "actions"):
            np.testing.assert_array_equal(data[name][:shown], found[0][name])
            np.testing.assert_array_equal(data[name][shown:], everything[name][: len(so_far)][so_far])
    np.testing.assert_array_equal(found[2]["actions"], np.abs(found[2]["observations"][:, :1]))
    wrong = np.abs(everything["actions"] - np.abs(everything["observations"][:, :1]))[~by_person]
    assert (wrong > 0).all(), "the policy's own actions are stored as they were"


def test_a_round_tells_its_figures(demos: Path, tmp_path: Path):
    out = tmp_path / "run"
    run_hg_dagger(options(demos, out, evaluation_episodes=2), Stop(), SILENT)
    everything, lines = stored(out), rounds(out)
    assert [line["step"] for line in lines] == [0, 1, 2]
    assert [line["round/epochs"] for line in lines] == [6, 12, 18]
    by_person = (everything["is_intervention"] > 0).reshape(2, 3, EPISODE_STEPS)
    near = np.abs(everything["actions"] - np.abs(everything["observations"][:, :1])).reshape(by_person.shape) < 0.3
    for line, acted, good in zip(lines[1:], by_person, near, strict=True):
        assert line["round/episodes"] == 3
        assert line["round/intervened_share"] == pytest.approx(acted.mean())
        assert line["round/success_rate"] == pytest.approx(good[:, -1].mean())
        assert line["round/unaided_success_rate"] == pytest.approx((good[:, -1] & ~acted.any(axis=1)).mean())
    counts = [0, by_person[0].sum(), by_person.sum()]
    assert [line["round/corrections"] for line in lines] == counts
    assert [line["round/rows"] for line in lines] == [count + 6 * EPISODE_STEPS for count in counts]
    assert all(line["evaluation/episodes"] == 2 for line in lines)
    assert len(everything["dones"]) == 60, "an evaluation is no episode of a round"


def test_every_training_begins_anew_and_ends_with_the_learning_rate_at_0(demos: Path, tmp_path: Path):
    out = tmp_path / "run"
    run_hg_dagger(options(demos, out), Stop(), SILENT)
    rates = [json.loads(line)["train/lr"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert len(rates) == 18
    for training in (rates[:6], rates[6:12], rates[12:]):
        assert training == sorted(training, reverse=True)
        assert training[0] > 0.5e-2
        assert training[-1] < 0.2e-2


@pytest.mark.parametrize("questions", [3, 7, 8, 11, 20, 47, 75, 90])
def test_a_run_that_was_stopped_anywhere_ends_where_an_undisturbed_one_ends(
    demos: Path, tmp_path: Path, questions: int
):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    all_questions = Stop()
    run_hg_dagger(options(demos, whole, evaluation_episodes=1), all_questions, SILENT)
    assert 10**9 - all_questions.left > questions
    assert run_hg_dagger(options(demos, parts, evaluation_episodes=1), Stop(questions), SILENT) < 2
    assert run_hg_dagger(options(demos, parts, evaluation_episodes=1, resume=True), Stop(), SILENT) == 2
    told = [[{**line, "time_s": 0.0} for line in rounds(out)] for out in (whole, parts)]
    assert told[0] == told[1], "each round is told once, with its evaluation"
    ends = weights(whole), weights(parts)
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    for name, values in stored(whole).items():
        np.testing.assert_array_equal(stored(parts)[name], values)


class Struck(gym.Wrapper):
    """Its robot fails at a step, once."""

    is_real_time = False

    def __init__(self, env: gym.Env, at: int, on_step: Any = lambda step: None) -> None:
        super().__init__(env)
        self.at, self.steps, self.resets, self._on_step = at, 0, 0, on_step

    def reset(self, **options: Any) -> Any:
        self.resets += 1
        return self.env.reset(**options)

    def step(self, action: np.ndarray) -> Any:
        self.steps += 1
        self._on_step(self.steps)
        if self.steps == self.at:
            raise EnvironmentInterrupted("a person pressed stop")
        return self.env.step(action)


def struck(monkeypatch: pytest.MonkeyPatch, **settings: Any) -> Struck:
    env = Struck(make_env(ENV), **settings)
    monkeypatch.setattr(hg_dagger, "make_env", lambda *args, **options: env)
    monkeypatch.setattr(Recovery.__init__, "__defaults__", (0.0, 60.0))
    return env


def test_an_interruption_loses_no_correction_and_the_episode_is_taken_again(
    demos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out, found = tmp_path / "run", learned_from(monkeypatch)
    env = struck(monkeypatch, at=EPISODE_STEPS + 8)
    run_hg_dagger(options(demos, out, rounds=1), Stop(), SILENT)
    assert env.resets == 4, "one for each episode, and one after the recovery"
    everything = stored(out)
    assert len(everything["dones"]) == 3 * EPISODE_STEPS + 7
    assert everything["dones"].nonzero()[0].tolist() == [9, 26, 36]
    by_person = everything["is_intervention"] > 0
    assert by_person[10:17].any(), "the person acted before the interruption"
    assert len(found[1]["actions"]) == 6 * EPISODE_STEPS + by_person.sum()
    with TransitionJournal(out / JOURNAL, read_only=True) as journal:
        assert [block.follows_gap for block in journal.blocks()] == [False, False, True, False]
        assert [block.info["episode"] for block in journal.blocks()] == [0, 1, 1, 2]


@pytest.mark.parametrize(("is_real_time", "kept"), [(False, 2 * EPISODE_STEPS), (True, EPISODE_STEPS + 4)])
def test_a_stop_cuts_an_episode_on_a_clock_alone_and_keeps_what_was_done(
    demos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_real_time: bool, kept: int
):
    stop = threading.Event()
    env = struck(monkeypatch, at=-1, on_step=lambda step: stop.set() if step == EPISODE_STEPS + 4 else None)
    env.is_real_time = is_real_time
    assert run_hg_dagger(options(demos, tmp_path / "run"), stop, SILENT) == 0
    assert len(stored(tmp_path / "run")["dones"]) == kept
    env.at = -1
    assert run_hg_dagger(options(demos, tmp_path / "run", resume=True), Stop(), SILENT) == 2
    assert stored(tmp_path / "run")["dones"].sum() == 6


def test_a_person_who_only_keeps_the_arm_still_and_a_torn_step_show_nothing(
    demos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    class Holding(gym.Wrapper):
        count = 0

        def step(self, action: np.ndarray) -> Any:
            self.count += 1
            result = self.env.step(action)
            marks = {"intervene_action": action, "intervene_hold": self.count % 2 == 0, "is_torn": self.count % 5 == 0}
            return (*result[:4], result[4] | marks)

    monkeypatch.setattr(hg_dagger, "make_env", lambda *args, **options: Holding(make_env(ENV)))
    run_hg_dagger(options(demos, tmp_path / "run", rounds=1), Stop(), SILENT)
    everything = stored(tmp_path / "run")
    assert len(everything["dones"]) == 3 * EPISODE_STEPS - 6
    env = make_env(ENV)
    with Corrections(tmp_path / "run" / JOURNAL, env.observation_space, env.action_space) as corrections:
        assert sum(len(batch["actions"]) for batch in corrections.steps_before(3)) == 12
        assert corrections.episodes == 3, "an episode ends also with a torn step"


def test_an_episode_of_torn_steps_alone_ends_too(demos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class Torn(gym.Wrapper):
        def step(self, action: np.ndarray) -> Any:
            result = self.env.step(action)
            return (*result[:4], result[4] | {"is_torn": True})

    monkeypatch.setattr(hg_dagger, "make_env", lambda *args, **options: Torn(make_env(ENV)))
    assert run_hg_dagger(options(demos, tmp_path / "run"), Stop(), SILENT) == 2


def test_a_clone_learns_what_only_the_person_has_shown(demos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "run"
    clone = (
        "--bc.hidden-dims",
        "32",
        "32",
        "--bc.activations",
        "relu",
        "--bc.optimizer.learning-rate",
        "1e-2",
        "--bc.std-min",
        "0.05",
    )
    length = ("--epochs", "60", "--rounds", "2", "--batch-size", "32", "--evaluation-episodes", "20", "--threads", "1")
    main(["hg-dagger", "--demos", str(demos), "--out", str(out), "--env", ENV, "--held-out", "0", *clone, *length])
    shown = capsys.readouterr()
    assert "--human is not given" in shown.err
    assert "round 2: success" in shown.out
    lines = rounds(out)
    assert lines[0]["evaluation/return_mean"] < 0.9 * EPISODE_STEPS
    assert lines[-1]["evaluation/return_mean"] > 0.93 * EPISODE_STEPS
    assert lines[-1]["evaluation/success_rate"] == 1.0
    assert lines[1]["round/intervened_share"] > 0.2
    assert lines[-1]["round/intervened_share"] < 0.1
    assert run_eval(BC.read(out), None, 5, None, SILENT)["success_rate"] == 1.0
    base, env = StoredPolicy.find(out), make_env(ENV)
    policy = base.load(env.observation_space, env.action_space)
    assert policy.sample_actions(np.array([-0.6, 3.0], np.float32), argmax=True)[0] == pytest.approx(0.6, abs=0.2)
    assert base.checkpoint.name == "step_000000000180"


def test_a_clone_that_sees_is_corrected(tmp_path: Path):
    env_id, demos, out = "tests.support.corrected_env:MagnitudeLight-v0", tmp_path / "demos.sqlite", tmp_path / "run"
    asked = options(demos, out, env=env_id, sees_images=True, rounds=1, epochs=1)
    asked = dataclasses.replace(asked, bc=dataclasses.replace(ALL_CAMERAS, hidden_dims=(8,), crop_padding=2))
    env = make_env(env_id, adaptation=asked.adaptation())
    record_demos(demos, env, lambda _: np.zeros(1), episodes=2, seed=0)
    env.close()
    assert run_hg_dagger(asked, Stop(), SILENT) == 1
    with Corrections(out / JOURNAL, env.observation_space, env.action_space) as corrections:
        seen = corrections.steps_before(3)[0]["observations"]
    assert seen["front"].shape[1:] == (1, SIDE, SIDE, 3)
    assert rounds(out)[1]["round/corrections"] > 0
    assert load_bc_policy(out, None, env.observation_space, env.action_space)[0] == 2


def test_a_run_goes_on_with_the_same_demonstrations_in_another_place_and_with_no_others(demos: Path, tmp_path: Path):
    out, moved, others = tmp_path / "run", tmp_path / "moved.sqlite", tmp_path / "others.sqlite"
    run_hg_dagger(options(demos, out, rounds=1, epochs=1), Stop(), SILENT)
    demos.rename(moved)
    env = make_env("tests.support.corrected_env:EasyMagnitude-v0")
    record_demos(others, env, right_action, episodes=6, seed=4)
    env.close()
    with pytest.raises(ConfigError, match="hold other steps than those that this run began with"):
        run_hg_dagger(options(others, out, rounds=2, epochs=1, resume=True), Stop(), SILENT)
    assert SETTINGS.read(out).demos == (demos,)
    assert run_hg_dagger(options(moved, out, rounds=2, epochs=1, resume=True), Stop(), SILENT) == 2
    assert SETTINGS.read(out).demos == BC.read(out).demos == (moved,)


def test_what_cannot_run_is_refused(demos: Path, tmp_path: Path):
    out = tmp_path / "run"
    with pytest.raises(ConfigError, match="rounds must be at least 1, not 0"):
        options(demos, out, rounds=0)
    with pytest.raises(ConfigError, match="a person may take over at any step"):
        options(demos, out, human="scripted", action_repeat=2)
    run_hg_dagger(options(demos, out, rounds=1), Stop(), SILENT)
    with pytest.raises(RunExists):
        run_hg_dagger(options(demos, out), Stop(), SILENT)
    with pytest.raises(ConfigError, match="episodes_per_round decides what was learned so far"):
        run_hg_dagger(options(demos, out, resume=True, episodes_per_round=4), Stop(), SILENT)
    with pytest.raises(ConfigError, match="hg-dagger --out"):
        train_bc(dataclasses.replace(BC.read(out), resume=True), Stop(), SILENT)
    train_bc(dataclasses.replace(BC.read(out), out=tmp_path / "bc", resume=False), Stop(), SILENT)
    with pytest.raises(ConfigError, match="is no run of hg-dagger"):
        run_hg_dagger(options(demos, tmp_path / "bc", resume=True), Stop(), SILENT)
    with pytest.raises(CheckpointNotFound):
        run_hg_dagger(options(demos, tmp_path / "nowhere", resume=True), Stop(), SILENT)
    other = dataclasses.replace(CLONE, hidden_dims=(16, 16))
    with pytest.raises(CheckpointError, match="leave out the options that change them"):
        run_hg_dagger(options(demos, out, resume=True, rounds=2, bc=other), Stop(), SILENT)
    assert SETTINGS.read(out).bc == CLONE
    assert BC.read(out).bc.hidden_dims == CLONE.hidden_dims
    assert SETTINGS.read(out).rounds == 1
    assert run_hg_dagger(options(demos, out, resume=True, rounds=2), Stop(), SILENT) == 2
