"""A camera that is watched for a while: its frames, their rate and their age."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from robotkit.devices import BaseCamera
from robotkit.schema import Frame
from robotkit.workcell import Workcell

_PERIOD_S = 0.002
_FRAMES_MIN, _PATIENCE = 5, 5.0
"""A camera is watched until that many frames came, at most so many times as long as asked."""


class Reading(NamedTuple):
    """A frame, and when it was asked for."""

    frame: Frame
    now_s: float
    """The cell's clock before the reading."""


def watched(cell: Workcell, camera: BaseCamera, watch_s: float) -> Iterator[Reading]:
    """Frames of `watch_s`, longer on a machine that reads few of them; in lock-step a single one."""
    begin_s, stamps_s = time.monotonic(), set[float]()
    while True:
        now_s = cell.clock.now_s()
        reading = Reading(camera.read(), now_s)
        stamps_s.add(reading.frame.stamp_s)
        yield reading
        passed_s = time.monotonic() - begin_s
        is_enough = passed_s > watch_s and len(stamps_s) >= _FRAMES_MIN
        if cell.clock.is_lockstep or is_enough or passed_s > _PATIENCE * watch_s:
            return
        time.sleep(_PERIOD_S)


def rate_hz(readings: Sequence[Reading]) -> float:
    """Frames per second by their stamps, 0 when there is a single one.

    Between two readings that lie far apart this machine itself may have missed a frame; such steps do not count.
    """
    steps_s, sure_steps_s, widest_s = [], [], 0.0
    last_s = readings[0].frame.stamp_s
    for before, reading in pairwise(readings):
        widest_s = max(widest_s, reading.now_s - before.now_s)
        step_s = reading.frame.stamp_s - last_s
        if step_s > 0.0:
            steps_s.append(step_s)
            if widest_s < 0.5 * step_s:
                sure_steps_s.append(step_s)
            last_s, widest_s = reading.frame.stamp_s, 0.0
    return 1.0 / float(np.median(sure_steps_s or steps_s)) if steps_s else 0.0


def oldest_s(readings: Sequence[Reading]) -> float:
    """The greatest age of a frame when it was asked for."""
    return max(0.0, *(reading.now_s - reading.frame.stamp_s for reading in readings))
