"""R8: what keeps a training from starting leaves no directory that blocks the corrected command."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from rl.config import TrainConfig
from rl.errors import ConfigError
from rl.training.processes import run_learner_process
from rl.training.supervisor import run_train
from rl.utils.run_directory import claim_run
from rl.utils.subprocesses import StopSignal


@pytest.fixture
def config(tmp_path: Path) -> Iterator[TrainConfig]:
    """A training whose port another program has."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = TrainConfig(env="Numbers-v0", out=tmp_path / "run", device="cpu")
        yield replace(settings, link=replace(settings.link, port=taken.getsockname()[1]))


def require_free(config: TrainConfig) -> None:
    """Nothing is there, and the corrected command may have the directory."""
    assert config.out is not None
    assert not config.out.exists()
    claim_run(config.out, resume=False, facts={})


@pytest.mark.parametrize(
    "start",
    [
        lambda config: run_train(config, StopSignal(), Console()),
        lambda config: run_learner_process(config, StopSignal()),
    ],
    ids=["train", "learner"],
)
def test_r8_a_port_that_is_taken_leaves_no_directory(config: TrainConfig, start: Callable[[TrainConfig], None]):
    with pytest.raises(ConfigError, match="cannot listen"):
        start(config)
    require_free(config)


def test_r8_what_cannot_run_on_one_machine_leaves_no_directory(config: TrainConfig):
    remote = replace(config, cell="http://127.0.0.1:9", evaluation=replace(config.evaluation, every_steps=100))
    with pytest.raises(ConfigError, match="cannot serve the actor and an evaluating process"):
        run_train(remote, StopSignal(), Console())
    require_free(config)
