"""Demonstrations are recorded by one command, from whoever acts, and can be replayed and learned from."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from rl.data.demos import summarize_demos
from rl.data.journal import TransitionJournal
from rl.errors import ConfigError, DataError
from rl.evaluation.replay import ReplayOptions, run_replay
from rl.recording.record_demos import RecordDemosOptions, run_record_demos
from rl.wrappers.make_env import open_env

PEG = "envs:PandaPegInsertion-v0"
QUIET = Console(quiet=True)


def test_an_expert_at_the_hand_is_recorded_as_what_was_done(tmp_path: Path):
    options = RecordDemosOptions(PEG, tmp_path / "new" / "peg.sqlite", human="expert", episodes=2, seed=3)
    summary = run_record_demos(options, QUIET)
    assert (summary.episodes, summary.successes, summary.return_mean) == (2, 2, 1.0)
    with TransitionJournal(options.out, read_only=True) as journal:
        for block in journal.blocks():
            assert abs(block.transitions["actions"]).max(axis=1).min() > 0.0  # the zero action was never what was done
            assert block.transitions["masks"][-1] == 0.0
    assert all(one.is_exact and one.success for one in run_replay(ReplayOptions(options.out), QUIET))


def test_an_operator_sees_what_the_environment_shows_and_the_file_what_the_agent_will(tmp_path: Path):
    options = RecordDemosOptions(
        "envs:PandaPickCube-v0",
        tmp_path / "cube.sqlite",
        expert="envs.experts.tracker:pick_cube",
        episodes=1,
        frame_stack=2,
    )
    run_record_demos(options, QUIET)
    with TransitionJournal(options.out, read_only=True) as journal:
        assert next(journal.blocks()).transitions["observations"].shape == (100, 20)
    assert run_replay(ReplayOptions(options.out), QUIET)[0].is_exact


def test_a_person_who_does_nothing_gives_no_demonstration(tmp_path: Path):
    options = RecordDemosOptions(PEG, tmp_path / "none.sqlite", human="fake", episodes=1, attempts=1)
    with pytest.raises(DataError, match="0 of 1 attempts"):
        run_record_demos(options, QUIET)
    assert summarize_demos(options.out).episodes == 0


def test_what_cannot_be_recorded_is_said(tmp_path: Path):
    with pytest.raises(ConfigError, match="say who acts, once"):
        RecordDemosOptions(PEG, tmp_path / "x.sqlite")
    with pytest.raises(ConfigError, match="say who acts, once"):
        RecordDemosOptions(PEG, tmp_path / "x.sqlite", human="expert", expert="a:b")
    with pytest.raises(ConfigError, match="leave out human"):
        open_env("Pendulum-v1", human="expert")
