"""What a user gets wrong is answered with a sentence that says what to do, and exit status 2."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from rl.cli import main
from tests.end_to_end.runs import SMALL


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    return error


@pytest.fixture(autouse=True)
def _own_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rl.utils.subprocesses.StopSignal.listen", lambda self: self)


def test_a_port_in_use(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for command in ("learner", "train"):
            error = refusal(capsys, command, *SMALL, "--out", tmp_path / command, "--link.port", port)
            assert f"cannot listen on 127.0.0.1:{port}" in error
            assert "--link.port" in error


def test_a_directory_that_holds_a_run(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    (tmp_path / "run.json").write_text("{}")
    for command in ("learner", "train"):
        assert "continue it with --resume" in refusal(capsys, command, *SMALL, "--out", tmp_path)


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (("train", "--preset", "sirl"), "Did you mean 'serl'?"),
        (("train", "--preset", "drq-judged"), "Did you mean 'drq-classifier'?"),
        (("train", "--resume"), "--resume needs --out"),
        (("train", "--resume", "--out", "/nowhere/at/all"), "there is no run in /nowhere/at/all"),
        (("train", "--config", "/nowhere.json"), "/nowhere.json cannot be read"),
        (("train", "--batch-size", "0"), "--batch-size must be at least 1"),
        (("train", "--max-lead", "0"), "the actors wait for an update that waits for them"),
        (("learner", "--link.host", "0.0.0.0"), "without a token"),
        (("train", "--cell", "http://127.0.0.1:1"), "--evaluation.where actor"),
        (("actor", "--env", "Nothing-v0"), "there is no environment 'Nothing-v0'"),
        (("actor", "--env", "no.such.module:Nothing-v0"), "cannot be imported"),
        (("evaluate", "--video", "film.avi"), "ends in .mp4 or .gif"),
        (("fly",), "robotkit-train --help"),
        ((), "robotkit-train --help"),
    ],
)
def test_what_cannot_work_is_explained(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    answer: str,
):
    monkeypatch.chdir(tmp_path)
    assert answer in refusal(capsys, *arguments)


def test_an_actor_without_a_learner(capsys: pytest.CaptureFixture[str], unused_port: int):
    link = ("--link.port", str(unused_port), "--link.connect-timeout-s", "0.3")
    assert "Is it running" in refusal(capsys, "actor", *SMALL, *link)


def test_an_evaluation_without_a_checkpoint(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    assert "no usable checkpoint" in refusal(capsys, "evaluate", *SMALL, "--out", tmp_path)


@pytest.fixture
def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]
