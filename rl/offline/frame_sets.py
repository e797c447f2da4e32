"""Labelled frames split by episodes: one part trains, one chooses the threshold, one tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rl.data.labelled_frames import EpisodeFrames, read_frames
from rl.errors import DataError


@dataclass(frozen=True)
class FrameSet:
    """Frames with their labels."""

    images: dict[str, np.ndarray]
    """uint8 (N, height, width, channels) by camera, or what `keep_maps` makes of them."""
    labels: np.ndarray
    """float32 (N,): 1 where it is a success, or the number of the class, from 0 on."""
    episodes: tuple[str, ...]
    """The episodes that they come from."""

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class FrameSplit:
    """Three parts without a common episode, because frames of one episode are so similar that a split would leak."""

    train: FrameSet
    tune: FrameSet
    test: FrameSet


def load_split(
    positives: Sequence[Path], negatives: Sequence[Path], cameras: Sequence[str] | None, held_out: float, seed: int
) -> FrameSplit:
    """Read frames that show success and others, and split them as `load_class_split` does.

    Args:
        positives: files of frames that show success.
        negatives: files of those that do not.
        cameras: which to read; all when None.
        held_out: share of the episodes that are not trained on.
        seed: of the split.

    Raises:
        DataError: the files disagree about the cameras, or a part would lack one of the classes.
    """
    return load_class_split({"negative": negatives, "positive": positives}, cameras, held_out, seed)


def load_class_split(
    classes: Mapping[str, Sequence[Path]], cameras: Sequence[str] | None, held_out: float, seed: int
) -> FrameSplit:
    """Read frames and split their episodes at random, half of the held-out ones to tune and half to test.

    Args:
        classes: files of frames by the name of their class; the order of the names is that of the labels.
        cameras: which to read; all when None.
        held_out: share of the episodes that are not trained on.
        seed: of the split.

    Raises:
        DataError: the files disagree about the cameras, or a part would lack one of the classes.
    """
    read = {name: read_frames(files, cameras) for name, files in classes.items()}
    labelled = [(float(label), frames) for label, name in reversed(list(enumerate(read))) for frames in read[name]]
    _check_shapes([frames for _, frames in labelled])
    highest: dict[str, float] = {}
    for label, frames in labelled:
        highest.setdefault(frames.episode, label)
    generator = np.random.default_rng(seed)
    parts: tuple[set[str], set[str], set[str]] = (set(), set(), set())
    # All kinds are split apart: few successes among many attempts could else all land in one part.
    for label in reversed(range(len(classes))):
        names = sorted(episode for episode, found in highest.items() if found == label)
        shuffled = [names[index] for index in generator.permutation(len(names))]
        held = round(held_out * len(names))
        bounds = (len(names) - held, len(names) - held // 2)
        for part, chosen in zip(parts, np.split(np.array(shuffled), bounds), strict=True):
            part.update(chosen.tolist())
    found_parts = [_collect(labelled, part) for part in parts]
    for use, frame_set in zip(("train", "tune", "test"), found_parts, strict=True):
        there = set() if frame_set is None else set(frame_set.labels.astype(int).tolist())
        if lacking := [name for label, name in enumerate(classes) if label not in there]:
            counts = (f"{len({frames.episode for frames in found})} with {name} ones" for name, found in read.items())
            raise DataError(
                f"the part to {use} with would lack {' and '.join(lacking)} frames: of the episodes there are "
                f"{', '.join(counts)}; record more of them, or hold out another share"
            )
    train, tune, test = (frame_set for frame_set in found_parts if frame_set is not None)
    return FrameSplit(train, tune, test)


def _collect(labelled: list[tuple[float, EpisodeFrames]], episodes: set[str]) -> FrameSet | None:
    chosen = [(label, frames) for label, frames in labelled if frames.episode in episodes]
    if not chosen:
        return None
    cameras = chosen[0][1].images
    images = {name: np.concatenate([frames.images[name] for _, frames in chosen]) for name in cameras}
    labels = np.concatenate([np.full(len(frames), label, np.float32) for label, frames in chosen])
    return FrameSet(images, labels, tuple(sorted(episodes)))


def _check_shapes(every: list[EpisodeFrames]) -> None:
    shapes = {tuple((name, image.shape[1:]) for name, image in sorted(frames.images.items())) for frames in every}
    if len(shapes) > 1:
        raise DataError(f"the files hold different images: {' and '.join(map(str, sorted(shapes)))}")
