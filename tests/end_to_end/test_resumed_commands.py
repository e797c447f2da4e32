"""Every command that takes long can be killed, and goes on with the result of one that was not."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch

from rl.cli import main
from rl.data.demos import record_demos
from rl.data.journal import TransitionJournal
from rl.data.labelled_frames import FrameWriter
from rl.errors import RlError
from rl.utils.checkpoint import Checkpoints
from rl.utils.run_directory import hold_run
from rl.utils.tree import leaves
from rl.wrappers.make_env import make_env
from tests.support.lamp_env import SIDE

from .runs import ENV, SMALL, assert_episodes_join, end, free_port, last_state, start, stored_by_actor, wait_for_status

LAMP = "tests.support.lamp_env:Lamp-v0"


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch):
    threads = torch.get_num_threads()
    monkeypatch.setattr("rl.utils.subprocesses.StopSignal.listen", lambda self: self)
    yield
    torch.set_num_threads(threads)


def kill_when(
    condition: Callable[[], bool], *arguments: str | Path | int, log: Path, how: int = signal.SIGKILL
) -> None:
    """Start a command, and send it a signal as soon as the condition holds; it must not have been done by then."""
    process = start(*arguments, log=log)
    try:
        deadline_s = time.monotonic() + 90.0
        while not condition():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline_s, log.read_text()
            time.sleep(0.01)
        process.send_signal(how)
        assert process.wait(60) != 0, "it was done before it was killed"
    finally:
        end(process)


def run(*arguments: str | Path | int) -> None:
    main([str(argument) for argument in arguments])


def rows_in(file: Path) -> int:
    """Rows of a journal that somebody else may be writing."""
    try:
        with TransitionJournal(file, read_only=True) as journal:
            return len(journal)
    except RlError:
        return 0


def blocks_of(file: Path):
    with TransitionJournal(file, read_only=True) as journal:
        return [(block.info, dict(leaves(block.transitions))) for block in journal.blocks()]


def assert_same_blocks(first: Path, second: Path) -> None:
    expected, found = blocks_of(first), blocks_of(second)
    assert len(expected) == len(found)
    for (info, batch), (other_info, other) in zip(expected, found, strict=True):
        assert info == other_info
        assert batch.keys() == other.keys()
        assert all(np.array_equal(batch[path], other[path]) for path in batch)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_record_demos(tmp_path: Path, how: int):
    whole, torn, log = tmp_path / "whole.sqlite", tmp_path / "torn.sqlite", tmp_path / "log"
    command = ("record", "demos", "--env", ENV, "--expert", "tests.support.slow_experts:SlowFollower", "--episodes")
    kill_when(lambda: rows_in(torn) >= 30, *command, 30, "--out", torn, log=log, how=how)
    assert ("go on with --resume" in log.read_text()) == (how == signal.SIGINT)
    assert rows_in(torn) < 80
    run(*command, 8, "--out", torn, "--resume")
    run(*command, 8, "--out", whole)
    assert_same_blocks(whole, torn)
    assert torn.with_suffix(".png").exists()


def test_record_success(tmp_path: Path):
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    command = ("record", "success", "--env", LAMP, "--expert", "tests.support.slow_experts:SlowChancer", "--noise")
    command = (*command, "0.1", "--positives", 1000, "--episodes")
    kill_when(lambda: rows_in(torn / "negatives.sqlite") >= 15, *command, 60, "--out", torn, log=tmp_path / "log")
    run(*command, 12, "--out", torn, "--resume")
    run(*command, 12, "--out", whole)
    for name in ("positives.sqlite", "negatives.sqlite"):
        assert_same_blocks(whole / name, torn / name)


def checkpoints(out: Path) -> tuple[int, ...]:
    return tuple(Checkpoints(out / "checkpoints").steps())


def test_train_bc(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    whole, torn, demos = tmp_path / "whole", tmp_path / "torn", tmp_path / "demos.sqlite"
    with closing(make_env(ENV)) as env:
        record_demos(demos, env, lambda observation: observation[:1], episodes=12, seed=3)
    settings = ("--demos", demos, "--env", ENV, "--batch-size", 20, "--threads", 1, "--checkpoint-every", 2)
    settings = (*settings, "--held-out", "0.2", "--bc.hidden-dims", 32, "--epochs")
    kill_when(lambda: bool(checkpoints(torn)), "bc", *settings, 5000, "--out", torn, log=tmp_path / "log")
    last = checkpoints(torn)[-1] + 6
    run("bc", "--out", torn, "--resume", "--epochs", last)
    assert f"{last} epochs of 100 transitions" in capsys.readouterr().out
    run("bc", *settings, last, "--out", whole)
    assert_same_networks(whole, torn, last, "modules")


def assert_same_networks(whole: Path, torn: Path, step: int, name: str) -> None:
    first, second = (Checkpoints(out / "checkpoints").load(step)[1]["agent"][name] for out in (whole, torn))
    assert first.keys() == second.keys()
    for key, value in first.items():
        torch.testing.assert_close(value, second[key], rtol=1e-5, atol=1e-6)


def test_train_classifier(tmp_path: Path):
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    random = np.random.default_rng(0)
    for name, low in (("negatives", 0), ("positives", 100)):
        with FrameWriter(tmp_path / name) as writer:
            for episode in range(8):
                frames = random.integers(low, low + 120, (6, SIDE * 2, SIDE * 2, 3), dtype=np.uint8)
                writer.write(str(episode + 8 * (name == "positives")), [{"front": frame} for frame in frames])
    files = ("--positives", tmp_path / "positives", "--negatives", tmp_path / "negatives")
    settings = (*files, "--batch-size", 16, "--threads", 1, "--checkpoint-every", 2, "--held-out", "0.5")
    settings = (*settings, "--encoder.encoder-type", "compact", "--encoder.bottleneck-dim", 8, "--epochs")
    kill_when(lambda: bool(checkpoints(torn)), "classifier", *settings, 5000, "--out", torn, log=tmp_path / "log")
    last = checkpoints(torn)[-1] + 4
    run("classifier", "--out", torn, "--resume", "--epochs", last)
    run("classifier", *settings, last, "--out", whole)
    assert_same_networks(whole, torn, last, "network")
    facts = [json.loads((out / "classifier.json").read_text()) for out in (whole, torn)]
    assert facts[0]["threshold"] == pytest.approx(facts[1]["threshold"], abs=1e-5)
    assert {path.name for path in torn.glob("*.png")} == {"confusion.png", "worst.png", "curve.png"}


def wait_until_it_left(out: Path) -> None:
    with hold_run(out, timeout_s=120.0):
        pass


def test_train_whose_whole_terminal_is_gone(tmp_path: Path):
    """Its learner still saves and leaves, and nothing is lost or doubled."""
    out, log, port = tmp_path / "run", tmp_path / "log", free_port()
    arguments = ("train", *SMALL, "--evaluation.every-steps", 0, "--out", out, "--link.port", port)
    process = start(*arguments, "--steps", 100_000, log=log)
    try:
        wait_for_status(port, lambda found: found["progress"]["updates"] >= 20, 180.0)
        process.kill()
        process.wait()
        wait_until_it_left(out)
        stored = sum(len(found["rewards"]) for found in stored_by_actor(out).values())
        steps = stored + 300
        run("train", "--out", out, "--resume", "--steps", steps, "--link.port", free_port())
    finally:
        end(process)
    finished = last_state(out)
    found = stored_by_actor(out)
    assert finished["env_steps"] == steps == sum(len(transitions["rewards"]) for transitions in found.values())
    for transitions in found.values():
        assert_episodes_join(transitions)
    assert finished["updates"] == (steps - 100) // 4


def test_an_evaluation_says_that_it_starts_over(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(["evaluate", "--help"])
    assert "starts over" in " ".join(capsys.readouterr().out.split())
