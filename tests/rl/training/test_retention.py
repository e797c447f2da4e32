"""Laws of L16: a long run needs no more disk and no longer start than a short one, and a resume misses nothing."""

from __future__ import annotations

import logging
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl.config import ReplayConfig
from rl.data.journal import TransitionJournal, copy_blocks, gap_info
from rl.data.memory_efficient_replay_buffer import MemoryEfficientReplayBuffer
from rl.data.pruning import Rows
from rl.data.replay_buffer import ReplayBuffer
from rl.data.sqlite_file import IN_MEMORY
from rl.errors import JournalError
from rl.link.messages import AgentSpec
from rl.training.replay_loader import ReplayLoader
from rl.utils.run_directory import JOURNAL
from rl.wrappers.make_env import make_env
from tests.rl.data.transitions import ACTIONS, assert_same
from tests.rl.training.small_agents import one_thread, small_sac
from tests.rl.training.test_exact_resume import ENV, collect, config, trained
from tests.rl.training.test_exact_resume import assert_same as assert_same_state

__all__ = ["one_thread"]

CAPACITY = 16
OBSERVATIONS = gym.spaces.Dict({
    "front": gym.spaces.Box(0, 255, (1, 2, 2, 3), np.uint8),
    "state": gym.spaces.Box(-np.inf, np.inf, (1, 1), np.float32),
})  # fmt: skip
SENDS = st.lists(
    st.tuples(
        st.integers(0, 2),  # actor
        st.sampled_from(["on", "on", "on", "on", "gap", "restart"]),
        st.lists(st.sampled_from(["policy"] * 6 + ["human", "end"]), min_size=1, max_size=5),
    ),
    min_size=10,
    max_size=70,
)


@dataclass
class Actors:
    """Three actors that send blocks of numbered steps to a journal."""

    journal: TransitionJournal
    moment: int = 0
    attempts: list[int] = field(default_factory=lambda: [0, 0, 0])
    sequences: list[int] = field(default_factory=lambda: [0, 0, 0])

    def send(self, actor: int, event: str, steps: list[str]) -> None:
        if event == "restart":
            self.attempts[actor], self.sequences[actor] = self.attempts[actor] + 1, 0
        count = len(steps)
        moments = self.moment + np.arange(count + 1)
        self.moment += count
        pixels = moments[:, None, None, None, None] * 7 % 31 * 3 + np.arange(12).reshape(1, 2, 2, 3)  # they come again
        observed = {"front": pixels.astype(np.uint8), "state": moments.astype(np.float32)[:, None, None]}
        block = {
            "observations": {name: array[:-1] for name, array in observed.items()},
            "next_observations": {name: array[1:] for name, array in observed.items()},
            "actions": np.zeros((count, 2), np.float32),
            "rewards": moments[:-1].astype(np.float32),
            "masks": np.ones(count, np.float32),
            "dones": np.array([step == "end" for step in steps], np.float32),
            "is_intervention": np.array([step == "human" for step in steps], np.float32),
        }
        name, first = f"actor-{actor}/{self.attempts[actor]}", self.sequences[actor]
        self.sequences[actor] = 1 + self.journal.append(name, first, block, gap_info(event == "gap"))


@dataclass
class Learner:
    """The buffers of a learner, filled from a journal."""

    journal: TransitionJournal
    kind: str
    n_step: int
    forgets: bool = False

    def __post_init__(self) -> None:
        self.replay, self.interventions = self.buffer(CAPACITY), self.buffer(1000)
        forget = self.journal.forget if self.forgets else None
        self.loader = ReplayLoader(self.journal, self.replay, self.n_step, 0.9, self.interventions, forget=forget)
        self.loader.poll()

    def buffer(self, capacity: int) -> Any:
        if self.kind == "plain":
            return ReplayBuffer(OBSERVATIONS, ACTIONS, capacity, seed=0)
        return MemoryEfficientReplayBuffer(OBSERVATIONS, ACTIONS, capacity, ("front",), seed=0)

    def require_same(self, other: Learner) -> None:
        assert self.loader.env_steps == other.loader.env_steps
        assert self.loader.interventions == other.loader.interventions
        for mine, theirs in ((self.replay, other.replay), (self.interventions, other.interventions)):
            assert (mine.inserted, len(mine)) == (theirs.inserted, len(theirs))
            if len(mine):
                places = np.arange(len(mine))
                assert_same(mine.sample(len(mine), indices=places), theirs.sample(len(mine), indices=places))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


@given(sends=SENDS, kind=st.sampled_from(["plain", "frames once"]), n_step=st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_l16_a_resume_from_what_is_left_equals_one_from_everything(
    sends: list[tuple[int, str, list[str]]], kind: str, n_step: int
):
    """Place by place, with several actors, gaps, restarts and interventions; and so do the steps after the resume."""
    with TransitionJournal(IN_MEMORY) as whole, TransitionJournal(IN_MEMORY) as pruned:
        learner = Learner(pruned, kind, n_step, forgets=True)
        both = Actors(whole), Actors(pruned)
        half = len(sends) // 2
        for part in (sends[:half], sends[half:]):
            for send in part:
                for actors in both:
                    actors.send(*send)
                learner.loader.poll()
            everything, learner = Learner(whole, kind, n_step), Learner(pruned, kind, n_step, forgets=True)
            learner.require_same(everything)
            assert len(pruned) == len(whole)
        assert pruned.begin > 0 or len(whole) < 3 * CAPACITY
        for actor, attempt in enumerate(both[0].attempts):
            name = f"actor-{actor}/{attempt}"
            assert pruned.last_sequence(name) == whole.last_sequence(name)


def sizes(journal: TransitionJournal) -> tuple[int, int]:
    """Transitions and images that are stored."""
    counts = "SELECT (SELECT sum(count) FROM blocks), (SELECT count(*) FROM frames)"
    return journal._query(counts)[0]


def test_l16_disk_and_images_are_bounded_however_long_the_run(path: Path):
    with TransitionJournal(path) as journal:
        learner, actors = Learner(journal, "frames once", 3, forgets=True), Actors(journal)
        rows, pages = [], []
        for number in range(600):
            actors.send(number % 3, "on", ["policy"] * 4 + ["end"])
            learner.loader.poll()
            rows.append(sizes(journal))
            pages.append(journal._query("PRAGMA page_count")[0][0])
        assert max(stored for stored, _ in rows) <= 2 * CAPACITY + 2 * (CAPACITY // 4 + 5) + 3 * 3
        assert max(images for _, images in rows) <= 2 * max(stored for stored, _ in rows)
        assert max(pages[150:]) <= max(pages[:150]) + 2
    assert learner.loader.env_steps == 3000


def test_l16_interventions_are_never_deleted(path: Path):
    with TransitionJournal(path) as journal:
        actors = Actors(journal)
        learner = Learner(journal, "plain", 3, forgets=True)
        for number in range(300):
            steps = ["policy", "human", "policy"] if number % 10 == 0 else ["policy"] * 3
            actors.send(0, "on", steps)
            learner.loader.poll()
        assert journal.begin > 800
        again = Learner(journal, "plain", 3)
        held = again.interventions.sample(30, indices=np.arange(30))
    assert again.loader.interventions == len(again.interventions) == 30
    firsts = np.arange(0, 300, 10) * 3 + 1
    np.testing.assert_array_equal(held["observations"]["state"][:, 0, 0], firsts)
    np.testing.assert_allclose(held["rewards"], firsts + 0.9 * (firsts + 1) + 0.81 * (firsts + 2), rtol=1e-6)


def test_l16_a_larger_buffer_holds_what_is_left_and_nothing_else(path: Path, monkeypatch: pytest.MonkeyPatch):
    with TransitionJournal(path) as journal:
        actors, learner = Actors(journal), Learner(journal, "plain", 1, forgets=True)
        for _ in range(50):
            actors.send(0, "on", ["policy"] * 2)
            learner.loader.poll()
        begin = journal.begin
        monkeypatch.setattr(sys.modules[__name__], "CAPACITY", 60)
        larger = Learner(journal, "plain", 1)
    batch = larger.replay.sample(500)
    assert len(larger.replay) == 100 - begin
    assert set(batch["rewards"].astype(int)) == set(range(begin, 100))


def test_l16_stopped_after_any_statement_a_journal_loses_nothing(path: Path, tmp_path: Path):
    """A killed process leaves the files as its last completed call left them: here they are copied after each."""
    asked: list[tuple[int, list[Rows]]] = []
    copies: list[Path] = []

    def copy(_: str) -> None:
        folder = tmp_path / f"copy-{len(copies)}"
        folder.mkdir()
        for file in path.parent.glob(path.name + "*"):
            shutil.copy(file, folder)
        copies.append(folder / path.name)

    with TransitionJournal(path) as journal:
        actors = Actors(journal)
        for number in range(40):
            actors.send(number % 2, "on", ["policy", "human" if number % 7 == 0 else "policy", "policy"])
        full = Learner(journal, "frames once", 3)
        ReplayLoader(
            journal, full.buffer(CAPACITY), 3, 0.9, forget=lambda row, keep: asked.append((row, list(keep)))
        ).poll()
        journal._connection.set_trace_callback(copy)
        journal.forget(*asked[-1])
        journal._connection.set_trace_callback(None)
        begin, left_over = journal.begin, sizes(journal)
    assert len(copies) > 20
    begins = set()
    for one in copies:
        with TransitionJournal(one, read_only=True) as left:
            begins.add(left.begin)
            Learner(left, "frames once", 3).require_same(full)
    assert begins == {0, begin}
    # What an interrupted pruning left behind goes with the next one.
    with TransitionJournal(copies[len(copies) // 2]) as left:
        assert sizes(left) > left_over
        left.forget(*asked[-1])
        assert sizes(left) == left_over


PRUNER = textwrap.dedent("""
    import sys
    from pathlib import Path
    from tests.rl.training.test_retention import Actors, Learner, TransitionJournal
    journal = TransitionJournal(Path(sys.argv[1]))
    actors, number = Actors(journal, moment=len(journal)), 0
    actors.attempts = [int(sys.argv[2])] * 3
    learner = Learner(journal, "frames once", 3, forgets=True)
    while True:
        human = "human" if number % 5 == 0 else "policy"
        actors.send(0, "on", ["policy", human, "policy"])
        learner.loader.poll()
        number += 1
        print(len(journal), learner.loader.interventions, flush=True)
""")


def test_l16_a_learner_killed_while_it_prunes_loses_nothing(path: Path):
    stored = by_human = 0
    for attempt, lines in enumerate((5, 30, 50)):
        command = [sys.executable, "-c", PRUNER, str(path), str(attempt)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
        told += [line for line in process.stdout if line.endswith("\n")]
        process.stdout.close()
        process.wait()
        counts = [tuple(map(int, line.split())) for line in told]
        assert counts[0] >= (stored, by_human)
        with TransitionJournal(path) as journal:
            left = Learner(journal, "plain", 3)
        stored, by_human = left.loader.env_steps, left.loader.interventions
        assert (stored, by_human) >= counts[-1]
        held = left.replay.sample(len(left.replay), indices=np.arange(len(left.replay)))
        assert len(left.replay) == min(CAPACITY, left.replay.inserted)
        moments = held["observations"]["state"][:, 0, 0].astype(int)
        assert sorted(moments) == list(range(stored - 2 - len(moments), stored - 2))  # two wait for further steps
    assert journal_begin(path) > 0


def journal_begin(path: Path) -> int:
    with TransitionJournal(path, read_only=True) as journal:
        return journal.begin


def test_l16_a_disk_that_refuses_costs_no_training(path: Path, caplog: pytest.LogCaptureFixture):
    def refuse(*_: Any) -> None:
        raise JournalError("the journal cannot be used: database or disk is full")

    with TransitionJournal(path) as journal:
        learner = Learner(journal, "plain", 2)
        learner.loader = ReplayLoader(journal, learner.replay, 2, 0.9, forget=refuse)
        actors = Actors(journal)
        with caplog.at_level(logging.WARNING):
            for _ in range(40):
                actors.send(0, "on", ["policy"] * 2)
                assert learner.loader.poll() == actors.moment
    assert "Old transitions stay on disk for now" in caplog.text


def test_l16_what_is_not_there_yet_is_not_forgotten(path: Path):
    with TransitionJournal(path) as journal:
        Actors(journal).send(0, "on", ["policy"] * 4)
        with pytest.raises(JournalError, match="not before row 5"):
            journal.forget(5, [])
        journal.forget(3, [])
        with pytest.raises(JournalError, match="not before row 2"):
            journal.forget(2, [])
        assert [row for row, _ in journal.read()] == [4]
        assert len(journal) == 4


@pytest.mark.parametrize("copied_first", [0, 3, 30])
def test_l16_a_copy_forgets_what_its_source_forgot(path: Path, copied_first: int):
    with TransitionJournal(IN_MEMORY) as journal, TransitionJournal(path) as copy:
        actors = Actors(journal)
        learner = Learner(journal, "frames once", 3, forgets=True)
        for number in range(40):
            if number == copied_first:
                copy_blocks(journal, copy)
            actors.send(number % 2, "on", ["policy", "human" if number % 9 == 0 else "policy"])
            learner.loader.poll()
        copy_blocks(journal, copy)
        assert copy.begin == journal.begin > 0
        assert sizes(copy) == sizes(journal)
        assert copy.rows_before(copy.begin) == journal.rows_before(journal.begin)
        Learner(copy, "frames once", 3).require_same(Learner(journal, "frames once", 3))


@pytest.mark.parametrize("has_begun", [False, True])
def test_l16_a_copy_is_of_one_state_of_a_run_that_goes_on(path: Path, tmp_path: Path, has_begun: bool):
    """Somebody loads a run while its learner deletes: the copy is what was there before."""
    with TransitionJournal(path) as journal, TransitionJournal(tmp_path / "copy.sqlite") as copy:
        actors = Actors(journal)
        for number in range(100):
            actors.send(number % 2, "on", ["policy", "human" if number % 9 == 0 else "policy"])
        if has_begun:
            journal.forget(20, [(2, 4)])

        def forget_once(statement: str) -> None:
            if statement.startswith("INSERT INTO blocks") and journal.begin < 190:
                journal.forget(190, [(2, 4)])

        copy._connection.set_trace_callback(forget_once)
        with TransitionJournal(path, read_only=True) as stored:
            copy_blocks(stored, copy)
        copy._connection.set_trace_callback(None)
        assert journal.begin == 190
        assert copy.begin == (20 if has_begun else 0)
        moments = np.concatenate([batch["observations"]["state"][:, 0, 0] for _, batch in copy.read()])
        assert moments.tolist() == [*([2, 3] if has_begun else [0, 1, *range(2, 20)]), *range(20, 200)]


@pytest.fixture
def collected(tmp_path: Path) -> Iterator[tuple[Path, Path, AgentSpec]]:
    env = make_env(ENV)
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    for out in (whole, torn):
        collect(env, out)
    yield whole, torn, AgentSpec.of(ENV, env)
    env.close()


@pytest.mark.usefixtures("one_thread")
def test_l16_an_interrupted_run_with_a_small_buffer_ends_with_the_same_networks(
    collected: tuple[Path, Path, AgentSpec],
):
    whole, torn, spec = collected
    small = ReplayConfig(capacity=40, n_step=3)
    straight = trained(replace(config(whole, 300, Path()), replay=replace(small, keep_all=True)), spec)
    first = replace(config(torn, 200, Path()), replay=small)
    trained(first, spec)
    resumed = trained(replace(first, steps=300), spec)
    assert journal_begin(whole / JOURNAL) == 0
    assert journal_begin(torn / JOURNAL) >= 240
    assert_same_state(straight, resumed, "state")


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("has_files", [True, False])
def test_l16_a_training_in_this_process_forgets_too(tmp_path: Path, has_files: bool):
    out = tmp_path / "run"
    agent = small_sac(capacity=50, out=out if has_files else None)
    for _ in range(3):
        agent.train(100)
        agent.save(out)
    assert journal_begin(out / JOURNAL) >= 200
    with sqlite3.connect(out / JOURNAL) as connection:
        assert connection.execute("SELECT sum(count) FROM blocks").fetchone()[0] <= 120
    connection.close()
    agent.close()
    loaded = type(agent).load(out)
    loaded.train(20)
    assert loaded.env_steps == 320


@pytest.mark.usefixtures("one_thread")
def test_l16_a_training_in_this_process_keeps_everything_when_it_is_told_to(tmp_path: Path):
    with small_sac(capacity=50, keep_all=True, out=tmp_path / "run") as agent:
        agent.train(150)
        agent.save(tmp_path / "run")
    with TransitionJournal(tmp_path / "run" / JOURNAL, read_only=True) as journal:
        assert journal.begin == 0
        assert sum(len(batch["rewards"]) for _, batch in journal.read()) == 150
