"""Laws of a journal's images: each is stored once, compressed, and comes back as it was."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl.data.journal import TransitionJournal
from rl.errors import SequenceGap
from tests.rl.data.transitions import assert_same


def picture(number):
    """A smooth image, as cameras see them, unlike that of any other number."""
    rows, columns = np.mgrid[:16, :16]
    return np.stack([rows + number, columns * 2, np.full_like(rows, number)], axis=-1).astype(np.uint8)


def episode(start, length, stack=1):
    """Transitions whose observations are runs of consecutive pictures."""
    numbers = np.arange(start, start + length)
    runs = np.stack([[picture(number + k) for k in range(stack + 1)] for number in numbers])
    return {
        "observations": {"front": runs[:, :-1], "state": numbers[:, None].astype(np.float32)},
        "next_observations": {"front": runs[:, 1:], "state": numbers[:, None].astype(np.float32) + 1},
        "rewards": numbers.astype(np.float32),
    }


def stored_images(journal):
    return journal._query("SELECT count(*) FROM frames")[0][0]


@pytest.mark.parametrize("stack", [1, 3])
def test_every_image_is_stored_once_whatever_the_size_of_the_blocks(tmp_path, stack):
    whole = episode(0, 20, stack)
    with TransitionJournal(tmp_path / "journal") as journal:
        for row in range(20):
            journal.append("one", row, episode(row, 1, stack))
        journal.append("two", 0, whole)
        assert stored_images(journal) == 20 + stack
        blocks = [batch for _, batch in journal.read()]
    assert_same(blocks[-1], whole)
    for row, block in enumerate(blocks[:-1]):
        assert_same(block, episode(row, 1, stack))


def test_a_long_recording_takes_less_room_than_one_copy_of_its_images(tmp_path):
    count = 200
    with TransitionJournal(tmp_path / "journal") as journal:
        for row in range(0, count, 10):
            journal.append("arm", row, episode(row, 10))
    assert (tmp_path / "journal").stat().st_size < count * picture(0).nbytes


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(1, 6)), max_size=10))
def test_resends_leave_images_and_numbers_as_they_were(tmp_path_factory, sends):
    with TransitionJournal(tmp_path_factory.mktemp("journal") / "j") as journal:
        end = 0
        for first, count in sends:
            if first > end:
                before = stored_images(journal)
                with pytest.raises(SequenceGap):
                    journal.append("arm", first, episode(100, count))
                assert stored_images(journal) == before
            else:
                journal.append("arm", first, episode(first, count))
                end = max(end, first + count)
        for after_row in range(end):
            front = np.concatenate([batch["observations"]["front"] for _, batch in journal.read(after_row)])
            np.testing.assert_array_equal(front, episode(after_row, end - after_row)["observations"]["front"])


def test_numbers_that_are_no_images_stay_where_they_are(tmp_path):
    batch = {"rewards": np.zeros(3, np.float32), "codes": np.arange(12, dtype=np.uint8).reshape(3, 2, 2)}
    with TransitionJournal(tmp_path / "journal") as journal:
        journal.append("arm", 0, batch)
        assert stored_images(journal) == 0
        assert_same(next(journal.read())[1], batch)
