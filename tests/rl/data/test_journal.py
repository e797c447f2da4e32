"""Laws of the journal: exactly once, in order, and nothing that was acknowledged is ever lost."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl.data.journal import TransitionJournal, copy_blocks, gap_info
from rl.data.sqlite_file import IN_MEMORY
from rl.errors import JournalError, SchemaMismatch, SequenceGap
from tests.rl.data.transitions import assert_same, numbered, numbered_images


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.sqlite"


def rewards(journal, after_row=0):
    return [float(reward) for _, batch in journal.read(after_row) for reward in batch["rewards"]]


def test_a_journal_gives_back_what_it_was_given(path):
    with TransitionJournal(path) as journal:
        assert (len(journal), journal.last_sequence("a"), rewards(journal)) == (0, -1, [])
        assert journal.append("a", 0, numbered_images(0, 5), info={"weights": 3}) == 4
        assert journal.append("b", 0, numbered_images(5, 2)) == 1
    with TransitionJournal(path, read_only=True) as journal:
        assert len(journal) == 7
        first, second = journal.blocks()
        assert (first.last_row, first.actor_id, first.first_sequence, first.info) == (5, "a", 0, {"weights": 3})
        assert (second.last_row, second.actor_id, second.first_sequence, second.info) == (7, "b", 0, None)
        assert_same(first.transitions, numbered_images(0, 5))
        assert journal.metadata["fields"]["observations/pix"] == "uint8[2,2,3]"
        with pytest.raises(JournalError):
            journal.append("a", 5, numbered_images(5, 1))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 12)), max_size=25))
def test_any_pattern_of_resends_stores_each_transition_once(tmp_path_factory, sends):
    """A1, A5: whatever is sent again, overlapping or late, each sequence number is stored once, in order."""
    with TransitionJournal(tmp_path_factory.mktemp("journal") / "j") as journal:
        end = 0
        for first, count in sends:
            if first > end:
                with pytest.raises(SequenceGap, match=f"resend from {end}"):
                    journal.append("a", first, numbered(first, count))
            else:
                end = max(end, first + count)
                assert journal.append("a", first, numbered(first, count)) == end - 1
            assert (len(journal), journal.last_sequence("a")) == (end, end - 1)
        assert rewards(journal) == list(range(end))
        for after_row in range(end + 2):
            assert rewards(journal, after_row) == list(range(after_row, end))


def test_actors_count_for_themselves(path):
    """A1: a restarted actor has a new name and starts at 0; nothing of it is dropped."""
    with TransitionJournal(path) as journal:
        journal.append("a/1", 0, numbered(0, 3))
        journal.append("a/2", 0, numbered(3, 2))
        journal.append("a/1", 3, numbered(5, 1))
        assert (journal.last_sequence("a/1"), journal.last_sequence("a/2")) == (3, 1)
        assert rewards(journal) == [0, 1, 2, 3, 4, 5]


def test_fields_and_metadata_are_fixed_by_the_file(path):
    with TransitionJournal(path, metadata={"env_id": "PandaPickCube-v0"}) as journal:
        journal.append("a", 0, numbered(0, 3))
        with pytest.raises(SchemaMismatch, match="labels"):
            journal.append("a", 3, numbered(3, 1) | {"labels": np.zeros(1)})
        with pytest.raises(SchemaMismatch, match="float64"):
            journal.append("a", 3, numbered(3, 1) | {"rewards": np.zeros(1)})
        with pytest.raises(SchemaMismatch, match="first axis"):
            journal.append("a", 3, numbered(3, 2) | {"rewards": np.zeros(1, np.float32)})
        assert len(journal) == 3
    with pytest.raises(JournalError, match="PandaPickCube"):
        TransitionJournal(path, metadata={"env_id": "Other-v0"})


def test_what_is_no_journal_is_refused(tmp_path):
    (tmp_path / "text").write_text("not a database, but long enough to look at" * 50)
    with sqlite3.connect(tmp_path / "foreign") as foreign:
        foreign.execute("CREATE TABLE other (x)")
    foreign.close()
    for name in ("text", "foreign"):
        with pytest.raises(JournalError, match=rf"{name} cannot be used.*It is no file of transitions: give one"):
            TransitionJournal(tmp_path / name, read_only=True)
        with pytest.raises(JournalError, match=name):
            TransitionJournal(tmp_path / name)
    with pytest.raises(JournalError, match=r"missing does not exist, .*record"):
        TransitionJournal(tmp_path / "missing", read_only=True)
    with pytest.raises(JournalError, match=r"is a directory, and a file of transitions is asked for"):
        TransitionJournal(tmp_path, read_only=True)
    with pytest.raises(JournalError, match="make it first"):
        TransitionJournal(tmp_path / "missing" / "journal")


def test_another_format_version_is_refused(path):
    TransitionJournal(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE metadata SET value = '99' WHERE name = 'format_version'")
    connection.close()
    with pytest.raises(JournalError, match="format_version"):
        TransitionJournal(path)


def test_a_finished_file_is_readable_where_nothing_can_be_written(path):
    with TransitionJournal(path) as journal:
        journal.append("a", 0, numbered(0, 3))
    assert os.listdir(path.parent) == [path.name]
    path.parent.chmod(0o500)
    try:
        with TransitionJournal(path, read_only=True) as journal:
            assert rewards(journal) == [0, 1, 2]
    finally:
        path.parent.chmod(0o700)


def test_threads_may_append_while_others_read(path):
    with TransitionJournal(path) as journal:
        threads = [
            threading.Thread(target=lambda name=name: [journal.append(name, k, numbered(k, 1)) for k in range(20)])
            for name in ("a", "b", "c")
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            rows = [row for row, _ in journal.read()]
            assert rows == list(range(1, len(rows) + 1))
        for thread in threads:
            thread.join()
        assert sorted(rewards(journal)) == sorted(list(range(20)) * 3)


def test_two_writers_of_one_file_store_each_transition_once(path):
    """A reconnected actor may be served while its old request is still under way."""
    journals = [TransitionJournal(path) for _ in range(2)]
    failures = []

    def write(journal):
        try:
            for first in range(0, 90, 3):
                journal.append("a", first, numbered(first, 5))
        except JournalError as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(journal,)) for journal in journals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert rewards(journals[0]) == list(range(92))
    for journal in journals:
        journal.close()


WRITER = textwrap.dedent("""
    import sys
    import numpy as np
    from rl.data.journal import TransitionJournal
    journal = TransitionJournal(sys.argv[1])
    sequence = journal.last_sequence("a") + 1
    print("start", sequence, flush=True)
    while True:
        batch = {"rewards": np.arange(sequence, sequence + 7, dtype=np.float32)}
        sequence = journal.append("a", max(0, sequence - 3), {"rewards": np.concatenate([
            np.arange(max(0, sequence - 3), sequence, dtype=np.float32), batch["rewards"]])}) + 1
        print("ack", sequence, flush=True)
""")


def test_a_writer_killed_at_random_moments_loses_and_doubles_nothing(path):
    generator = np.random.default_rng(3)
    acknowledged = 0
    for _ in range(6):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        start = int(writer.stdout.readline().split()[1])
        assert start >= acknowledged
        time.sleep(generator.uniform(0.0, 0.15))
        writer.send_signal(signal.SIGKILL)
        lines = writer.stdout.read().splitlines()
        writer.stdout.close()
        writer.wait()
        complete = [line for line in lines if line.startswith("ack ")]
        acknowledged = int(complete[-1].split()[1]) if complete else start
        with TransitionJournal(path) as journal:
            stored = rewards(journal)
        assert stored == list(range(len(stored)))
        assert len(stored) >= acknowledged
    assert acknowledged > 0


def test_a_journal_in_memory_is_kept_by_copying_what_the_copy_lacks(path):
    with TransitionJournal(IN_MEMORY) as journal, TransitionJournal(path) as copy:
        journal.append("a", 0, numbered_images(0, 3), info={"weights": 3})
        journal.append("a", 3, numbered_images(3, 2), gap_info(True))
        copy_blocks(journal, copy)
        copy_blocks(journal, copy)
        journal.append("b", 0, numbered_images(5, 2), gap_info(False))
        copy_blocks(journal, copy)
    with TransitionJournal(path, read_only=True) as copy:
        assert rewards(copy) == [float(number) for number in range(7)]
        assert [(block.actor_id, block.first_sequence, block.follows_gap) for block in copy.blocks()] == [
            ("a", 0, False), ("a", 3, True), ("b", 0, False),
        ]  # fmt: skip
    assert not IN_MEMORY.exists()


def test_a_copy_begins_with_what_it_copies(path):
    with TransitionJournal(IN_MEMORY) as journal, TransitionJournal(path) as copy:
        copy.append("other", 0, numbered(0, 2))
        journal.append("a", 0, numbered(0, 5))
        with pytest.raises(SequenceGap):
            copy_blocks(journal, copy)


@pytest.mark.parametrize("is_finished", [True, False])
def test_u13_nothing_stays_beside_a_file_that_was_read(tmp_path: Path, is_finished: bool):
    path = tmp_path / "a.sqlite"
    writer = TransitionJournal(path)
    writer.append("a", 0, {"rewards": np.zeros(3, np.float32)})
    writer.finish() if is_finished else writer.close()
    with TransitionJournal(path, read_only=True) as journal:
        assert len(journal) == 3
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_writes_nothing(tmp_path: Path):
    TransitionJournal(tmp_path / "a.sqlite").close()
    with TransitionJournal(tmp_path / "a.sqlite", read_only=True) as journal, pytest.raises(JournalError):
        journal.append("a", 0, {"rewards": np.zeros(3, np.float32)})


def test_a_reader_that_leaves_takes_nothing_from_a_writer(tmp_path: Path):
    with TransitionJournal(tmp_path / "a.sqlite") as writer:
        writer.append("a", 0, {"rewards": np.zeros(3, np.float32)})
        with TransitionJournal(tmp_path / "a.sqlite", read_only=True) as journal:
            assert len(journal) == 3
        writer.append("a", 3, {"rewards": np.zeros(2, np.float32)})
        assert len(writer) == 5
    with TransitionJournal(tmp_path / "a.sqlite", read_only=True) as journal:
        assert len(journal) == 5
