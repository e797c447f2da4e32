"""`robotkit check`: the checks of gripper, cameras, trackers, clock and graphics of a cell, which only read them."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from robotkit.cli import software_checks
from robotkit.cli.camera_watch import oldest_s, rate_hz, watched
from robotkit.cli.finding import Finding, failed, not_applicable, passed
from robotkit.devices import BaseCamera, BaseGripperServer, BasePoseTracker
from robotkit.devices.words import said_of
from robotkit.drivers.fake import FakeWorld
from robotkit.errors import DeviceFault
from robotkit.workcell import Workcell

_AGE_MAX_S = 0.5
_RATE_SHARE_MIN = 0.8
"""Smallest share of its rate that a camera has to deliver."""
_FUTURE_S = 0.05
"""A stamp may lie this far ahead of a remote cell's clock, which is known to half a round trip."""
_CLOCK_DRIFT = 0.02
_PERIOD_S = 0.002


def sensor_findings(cell: Workcell, watch_s: float) -> Iterator[Finding]:
    """Gripper, every camera and every tracker."""
    if cell.gripper is None:
        yield not_applicable("gripper", "this cell has none")
    else:
        yield _guarded("gripper", partial(_gripper, cell, cell.gripper))
    for name, camera in cell.cameras.items():
        yield _guarded(f"camera {name}", partial(_camera, cell, name, camera, watch_s))
    for name, tracker in cell.trackers.items():
        yield _guarded(f"tracker {name}", partial(_tracker, cell, name, tracker))


def clock_finding(cell: Workcell, watch_s: float) -> Finding:
    """Check that the cell's clock is monotonic, as fast as this machine's, and the one that stamps the states?"""
    return _guarded("clock", partial(_clock, cell, watch_s))


def graphics_finding(cell: Workcell) -> Finding:
    """Check whether the pictures of a simulated cell can be rendered here."""
    if cell.world is None or isinstance(cell.world, FakeWorld) or not cell.cameras:
        return not_applicable("GL", "no simulated camera is rendered on this machine")
    found = software_checks.graphics()
    return passed("GL", found.found) if found.status == "ok" else failed("GL", found.found, found.fix)


def _guarded(subject: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except Exception as error:  # a plugin's own errors too
        return failed(subject, said_of(error), "see what the message asks to check, and run this again")


def _gripper(cell: Workcell, gripper: BaseGripperServer) -> Finding:
    now_s = cell.clock.now_s()
    try:
        state = gripper.get_state()
    except DeviceFault as error:
        fix = "keep clear of the fingers: connecting the cell activates a gripper that is not ready"
        return failed("gripper", error.message, fix)
    age_s = max(0.0, now_s - state.stamp_s)
    found = f"{state.width_m * 1e3:.1f} mm open, measured {age_s:.2f} s ago"
    if age_s > _AGE_MAX_S:
        return failed("gripper", found, "check its cable and power")
    return passed("gripper", found)


def _clock(cell: Workcell, watch_s: float) -> Finding:
    readings = [_time(cell)]
    while readings[-1][0] - readings[0][0] < min(watch_s, 0.5):
        time.sleep(_PERIOD_S)
        readings.append(_time(cell))
    times_s = [now_s for _, now_s, _ in readings]
    counted_s = times_s[-1] - times_s[0]
    least_s, most_s = readings[-1][0] - readings[0][2], readings[-1][2] - readings[0][0]
    if (np.diff(times_s) < 0.0).any():
        return failed("clock", "the cell's clock went backwards", "report it to the author of the world or driver")
    ahead_s = cell.robot.get_state().stamp_s - cell.clock.now_s()
    if ahead_s > _FUTURE_S:
        fix = "the driver has to stamp with its context's clock"
        return failed("clock", f"a state carries a stamp {ahead_s:.3f} s ahead of the cell's clock", fix)
    if cell.clock.is_lockstep:
        return passed("clock", "lock-step: time passes only on request")
    if not (1.0 - _CLOCK_DRIFT) * least_s <= counted_s <= (1.0 + _CLOCK_DRIFT) * most_s:
        found = f"the cell's clock counted {counted_s:.3f} s in {least_s:.3f} s"
        return failed("clock", found, "the world falls behind real time: end what loads this machine")
    return passed("clock", "monotonic, and as fast as this machine's")


def _time(cell: Workcell) -> tuple[float, float, float]:
    """Return this machine's time before a look at the cell's clock, what that shows, and the time after."""
    before_s = time.monotonic()
    return before_s, cell.clock.now_s(), time.monotonic()


def _camera(cell: Workcell, name: str, camera: BaseCamera, watch_s: float) -> Finding:
    subject = f"camera {name}"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        readings = list(watched(cell, camera, watch_s))
    frame = readings[-1].frame
    size = (frame.rgb.shape[1], frame.rgb.shape[0])
    wanted_size = (camera.spec.width_px, camera.spec.height_px)
    if size != wanted_size:
        found = f"delivers {size[0]}x{size[1]}, its spec says {wanted_size[0]}x{wanted_size[1]}"
        return failed(subject, found, "correct its size in the workcell file")
    if frame.rgb.min() == frame.rgb.max():
        return failed(subject, "its picture is a single colour", "take the cap off, light the scene, fix the exposure")
    if caught:
        return failed(subject, str(caught[0].message), "see GL below")
    if cell.clock.is_lockstep:
        return passed(subject, f"{size[0]}x{size[1]}; in lock-step it has no rate of its own")
    age_s = oldest_s(readings)
    measured_hz, wanted_hz = rate_hz(readings), getattr(camera.config, "rate_hz", None)
    asked = "" if wanted_hz is None else f" of {wanted_hz:g}"
    found = f"{size[0]}x{size[1]}, {measured_hz:.1f}{asked} frames/s, oldest {1e3 * age_s:.0f} ms"
    too_old = age_s > getattr(camera.config, "max_age_s", _AGE_MAX_S)
    if too_old or measured_hz == 0.0 or (wanted_hz is not None and measured_hz < _RATE_SHARE_MIN * wanted_hz):
        fix = "use another USB socket or a smaller picture, shorten the exposure, or lower rate_hz"
        return failed(subject, found, fix)
    return passed(subject, found)


def _tracker(cell: Workcell, name: str, tracker: BasePoseTracker) -> Finding:
    now_s, pose = cell.clock.now_s(), tracker.get_pose()
    position = ", ".join(f"{value:z.3f}" for value in pose.pose_in_base[:3])
    age_s = max(0.0, now_s - pose.stamp_s)
    found = f"in sight at ({position}) m in the base frame, seen {age_s:.2f} s ago"
    if age_s > getattr(tracker.config, "max_age_s", _AGE_MAX_S):
        return failed(f"tracker {name}", found, "bring its marker into sight and light it")
    return passed(f"tracker {name}", found)
