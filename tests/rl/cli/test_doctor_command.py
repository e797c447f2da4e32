"""`robotkit-train doctor`: what it prints, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rl.cli import main
from rl.cli.doctor import FOUND
from tests.rl.training.small_agents import one_thread, small_sac
from tests.support.point_env import Faults, PointReach

__all__ = ["one_thread"]


def test_a_healthy_run_ends_with_0_and_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with small_sac(out=tmp_path, log_every=5) as agent:
        agent.train(200)
    main(["doctor", str(tmp_path)])
    first, second, *others = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{tmp_path}: ")
    assert first.endswith("checks found nothing")
    assert second == "not applicable:"
    assert all(line.startswith("  ") and ": " in line for line in others)


def test_a_run_with_a_fault_ends_with_3_and_is_described_for_a_program(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with small_sac(PointReach(Faults(constant_reward=1.0)), out=tmp_path) as agent:
        agent.train(1100)
    with pytest.raises(SystemExit) as ending:
        main(["doctor", str(tmp_path), "--json"])
    assert ending.value.code == FOUND == 3
    told = json.loads(capsys.readouterr().out)
    assert told.keys() == {"run", "findings", "passed", "not_applicable"}
    dead = next(finding for finding in told["findings"] if finding["name"] == "reward_dead")
    assert dead["severity"] == "critical"
    assert dead["evidence"]["reward"] == 1.0
    assert "--replay.demos" in dead["remedy"]
    with pytest.raises(SystemExit):
        main(["doctor", str(tmp_path)])
    assert capsys.readouterr().out.startswith("critical: ")


@pytest.mark.parametrize(
    "damaged", [b'{"step": 100, "critic/cr', b"12\n", b"null\n", b"\0\0\n", b"\xff{\n", b'{"a": []}\n']
)
def test_a_damaged_line_of_the_metrics_is_left_out(damaged: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """The run may be under way, was killed, or lost its power."""
    with small_sac(out=tmp_path, log_every=5) as agent:
        agent.train(200)
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(damaged)
    main(["doctor", str(tmp_path)])
    assert "found nothing" in capsys.readouterr().out


def test_where_no_run_is_the_command_says_what_to_give(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ending:
        main(["doctor", str(tmp_path)])
    assert ending.value.code == 2
    assert f"there is no run at {tmp_path}" in capsys.readouterr().err
