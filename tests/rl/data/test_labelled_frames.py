"""Laws of labelled frames: what was written comes back, once for each episode, and looks are evenly spread."""

from pathlib import Path

import numpy as np
import pytest

from rl.data.labelled_frames import Frame, FrameWriter, read_frames, spread_frames
from rl.errors import DataError, JournalError

LENGTHS = {"a": 3, "b": 1, "c": 7}


def frame(number: int) -> Frame:
    return {name: np.full((4, 4, 3), number + camera, np.uint8) for camera, name in enumerate(("front", "wrist"))}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The frames 0 to 10 in three episodes, written by two writers."""
    start = 0
    for names in (("a",), ("a", "b", "c")):
        with FrameWriter(tmp_path / "frames") as writer:
            for name in names:
                written = len(writer)
                writer.write(name, [frame(start + number) for number in range(LENGTHS[name])])
                writer.write("nothing", [])
                start += len(writer) - written
    assert start == sum(LENGTHS.values())
    return tmp_path / "frames"


def test_each_episode_is_kept_as_it_was_written_first(file: Path):
    with FrameWriter(file) as writer:
        assert (writer.episodes, len(writer)) == (("a", "b", "c"), 11)
    found = read_frames([file, file])
    assert [(one.episode, len(one)) for one in found] == 2 * list(LENGTHS.items())
    for camera, name in enumerate(("front", "wrist")):
        numbers = np.concatenate([one.images[name][:, 0, 0, 0] for one in found[:3]])
        np.testing.assert_array_equal(numbers, np.arange(11) + camera)


def test_only_cameras_that_are_asked_for_are_read(file: Path):
    assert [list(one.images) for one in read_frames([file], ["wrist"])] == [["wrist"]] * 3
    with pytest.raises(DataError, match="has no camera left, right; it has: front, wrist"):
        read_frames([file], ["left", "front", "right"])
    with pytest.raises(JournalError, match="does not exist"):
        read_frames([file.with_name("other")])


@pytest.mark.parametrize(("count", "numbers"), [(3, [0, 5, 10]), (1, [0]), (11, range(11)), (50, range(11)), (0, [])])
def test_a_look_at_a_file_is_evenly_spread(file: Path, count: int, numbers: list[int]):
    total, chosen = spread_frames(file, count)
    assert total == 11
    assert [int(images["wrist"][0, 0, 0]) - 1 for _, images in chosen] == list(numbers)
    episodes = [name for name, length in LENGTHS.items() for _ in range(length)]
    assert [name for name, _ in chosen] == [episodes[number] for number in numbers]
