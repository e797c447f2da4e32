"""A run from images that starts from demonstrations corrects their clone, which sees what the agent sees."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from rl import DrQ
from rl.agents.continuous.proposal_config import ProposalConfig
from rl.cli.training import parse_train_options
from rl.config import TrainConfig, load_config
from rl.data.demos import record_demos
from rl.evaluation.evaluate import run_eval
from rl.offline.bc_options import SETTINGS as BC
from rl.training.demo_clone import clone_demos, has_clone
from rl.training.start_from_demos import starting_from_demos
from rl.utils.checkpoint import Checkpoints, load_checkpoint
from rl.utils.run_directory import CHECKPOINTS, CLONE, CONFIG
from rl.utils.subprocesses import StopSignal
from rl.wrappers.adapter_config import EnvAdapterConfig, ImagesConfig
from rl.wrappers.make_env import make_env
from tests.rl.offline.test_train_bc import StopAfter
from tests.rl.training.small_agents import PIXEL_ENV, PIXEL_NETWORKS, one_thread, small_drq
from tests.rl.training.test_exact_resume import assert_same

__all__ = ["one_thread"]

SILENT = Console(quiet=True)
IMAGES = ImagesConfig(size=30, frames=1)
SEEN = EnvAdapterConfig(frame_stack=2, sees_images=True, images=IMAGES)


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Episodes of one who knows where the light is."""
    path = tmp_path_factory.mktemp("demos") / "demos.sqlite"
    env = make_env(PIXEL_ENV, adaptation=SEEN)
    record_demos(path, env, lambda _: [env.unwrapped._target], 12, seed=3)
    return path


@pytest.fixture(autouse=True)
def _short_cloning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rl.training.demo_clone.CLONING", ProposalConfig(cloning_updates=120, hidden_dims=(32,)))


def cloned(demos: Path, **settings: object) -> DrQ:
    return small_drq(from_demos=demos, image_size=30, image_frames=1, frame_stack=2, **settings)


def configured(demos: Path) -> TrainConfig:
    return replace(
        TrainConfig(), env=PIXEL_ENV, agent=PIXEL_NETWORKS, images=IMAGES, frame_stack=2, from_demos=(demos,)
    )


def test_before_the_first_step_success_is_that_of_a_clone_that_sees_the_agents_images(demos: Path, tmp_path: Path):
    agent = cloned(demos)
    first = agent.evaluate(20, seed=5)
    agent.save(tmp_path)
    stored = BC.read(tmp_path / CLONE)
    assert stored.adaptation() == SEEN
    assert stored.bc.encoder.encoder_type == "compact"
    assert stored.bc.crop_padding == PIXEL_NETWORKS.crop_padding
    alone = replace(stored, seed=5, out=tmp_path / CLONE)
    corrected = replace(load_config(tmp_path / CONFIG), seed=5)
    assert run_eval(corrected, None, 20, None, SILENT) == run_eval(alone, None, 20, None, SILENT)
    assert first["success_rate"] > 0.5, "an agent that sees nothing has a third"


def test_a_run_that_was_stored_goes_on_as_if_it_had_not(demos: Path, tmp_path: Path):
    cloned(demos, out=tmp_path / "run").train(24).close()
    loaded = DrQ.load(tmp_path / "run", out=tmp_path / "run").train(24)
    straight = cloned(demos).train(24).train(24)
    assert straight.updates > 0
    assert_same(straight.core.state_dict(), loaded.core.state_dict(), "agent")


def test_a_cloning_from_images_that_was_stopped_loses_a_tenth_at_most(demos: Path, tmp_path: Path):
    config, out = configured(demos), tmp_path / "clone"
    assert not clone_demos(config, (demos,), out, StopAfter(50), SILENT)
    assert not has_clone(out)
    epochs = BC.read(out).epochs
    assert Checkpoints(out / CHECKPOINTS).steps()[-1] >= 50 - epochs / 10
    assert clone_demos(config, (demos,), out, StopSignal(), SILENT)
    assert clone_demos(config, (demos,), tmp_path / "straight", StopSignal(), SILENT)
    one, other = (load_checkpoint(path / CHECKPOINTS)[1]["agent"]["modules"] for path in (out, tmp_path / "straight"))
    assert_same(one, other, "policy")


@pytest.mark.parametrize("preset", ["drq", "drq-demo", "drq-classifier"])
def test_its_defaults_are_those_of_a_run_from_vectors(demos: Path, preset: str):
    words = ("--preset", preset, "--from-demos", str(demos))
    plain, begun = (parse_train_options("train", list(given)) for given in (words[:2], words))
    assert begun == replace(starting_from_demos(plain), from_demos=(demos,))
    assert (begun.random_steps, begun.agent.actor_starts_after, begun.agent.mode_penalty) == (0, 1000, 3.0)
