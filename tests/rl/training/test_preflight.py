"""What can be known before a process is started is said by the command itself, once, and leaves no directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from rl.cli import main
from rl.data.demos import DemoWriter
from rl.utils.subprocesses import Child, ChildFailed
from rl.wrappers.make_env import make_env

ENV = "tests.support.tiny_env:FollowTarget-v0"
PIXELS = "tests.support.tiny_pixels:FollowLight-v0"
RESNET = ["--env", PIXELS, "--agent", "drq", "--agent.encoder.encoder-type", "resnet-pretrained"]


def refused(
    arguments: list[str], out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> str:
    """What `train` says that is refused before anything was started."""
    monkeypatch.setattr("rl.utils.subprocesses.StopSignal.listen", lambda self: self)
    monkeypatch.setattr(Child, "start", lambda child: pytest.fail(f"{child.name} was started"))
    with pytest.raises(SystemExit) as ended:
        main(["train", *arguments, "--out", str(out)])
    assert ended.value.code == 2
    assert not out.exists()
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    return errors[0]


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["--env", "envs:PandaPickCube-v0", "--human", "nobody"], "'nobody'"),
        (["--env", "envs:PandaReach-v0", "--human", "expert"], "no scripted expert"),
        (["--env", "envs:PandaPickCube-v0", "--cell", "nowhere"], "no workcell is named 'nowhere'"),
        (["--env", "envs:PandaPickCube-v0", "--evaluation.cell", "nowhere"], "no workcell is named 'nowhere'"),
        (["--env", ENV, "--cell", "fake"], "leave out --cell"),
        (["--env", ENV, "--human", "spacemouse"], "leave out --human"),
        (["--env", PIXELS], "--agent drq"),
        (["--env", ENV, "--agent", "drq"], "--agent sac"),
        (["--env", ENV, "--agent", "hybrid-single"], "--agent sac"),
        (["--env", "CartPole-v1"], "continuous actions"),
        (["--env", ENV, "--reward-classifier", "nowhere"], "nowhere"),
        (
            ["--preset", "serl", "--env", ENV, "--agent.actor-optimizer.cosine-decay-steps", "run"],
            "--agent.actor-optimizer.cosine-decay-steps run needs --env-steps-per-update",
        ),
        (RESNET, "its weights"),
        (
            [*RESNET, "--agent.encoder.pretrained-path", "nowhere.safetensors"],
            "nowhere.safetensors is no file",
        ),
    ],
)
def test_what_the_actor_or_the_learner_would_say_is_said_before_they_are_started(
    arguments: list[str],
    answer: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    assert answer in refused(arguments, tmp_path / "run", capsys, monkeypatch)


@pytest.mark.parametrize("package", ["tensorboard", "wandb"])
def test_a_log_whose_package_is_missing_is_refused(
    package: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("rl.utils.log_packages.find_spec", lambda name: None)
    option = {"tensorboard": ["--tensorboard"], "wandb": ["--wandb-project", "robots"]}[package]
    said = refused(["--env", ENV, *option], tmp_path / "run", capsys, monkeypatch)
    assert "pip install 'robotkit[" in said


def test_demonstrations_of_another_environment_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    other = make_env("Pendulum-v1")
    with DemoWriter(tmp_path / "demos.sqlite", other.observation_space, other.action_space):
        pass
    said = refused(
        ["--env", ENV, "--replay.demos", str(tmp_path / "demos.sqlite")], tmp_path / "run", capsys, monkeypatch
    )
    assert "does not fit the environment" in said


def test_an_error_of_a_process_is_told_once_with_its_name(tmp_path: Path):
    log = tmp_path / "actor-0.log"
    log.write_text("12:00:00 INFO connected\nerror: the token is wrong: set RL_LINK_TOKEN\n")
    assert str(ChildFailed("actor-0", 2, log)) == f"actor-0: the token is wrong: set RL_LINK_TOKEN (from {log})"


def test_of_a_process_that_broke_the_last_lines_are_told(tmp_path: Path):
    log = tmp_path / "learner.log"
    log.write_text("Traceback (most recent call last):\nZeroDivisionError: division by zero\n")
    said = str(ChildFailed("learner", 1, log))
    assert said.startswith("the learner ended with exit status 1")
    assert said.endswith("ZeroDivisionError: division by zero")
