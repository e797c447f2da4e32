"""`robotkit check`: the checks of an arm, which only read it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from robotkit import spatial
from robotkit.cli.finding import Finding, failed, not_applicable, passed
from robotkit.cli.reading import Kept
from robotkit.devices.recent_places import RecentPlaces
from robotkit.devices.words import said_of
from robotkit.remote.devices import RemoteRobot
from robotkit.schema import RobotState
from robotkit.workcell import Workcell

_SUCCESS_RATE_MIN = 0.9
_ROUND_TRIP_MAX_S = 0.05
_STATE_AGE_MAX_S = 0.2
"""Largest age of a state where the cell sets no `limits.state_max_age_s`."""
_HELD_AGE_S = 0.05
"""The safety layer holds no arm at an older measurement, and stops it then."""
_FIRST_CYCLES_S = 0.3
"""An arm counts the cycles before its control began as not served."""
_NOT_STARTED = "control was not started, because the payload is wrong"
_STOPPED = "control was not started, because somebody stopped the arm meanwhile"
_STILL_S, _STILL_RAD_S = 0.4, 0.005
"""Time and joint speed of a standstill: over so long no joint of an arm that stands goes farther than at this speed;
its tool does millimetres a second."""
_SPREAD_FORCE_N, _SPREAD_TORQUE_NM = 2.0, 0.5
"""Largest standard deviation of a wrench at rest; more is vibration, or something that touches the tool."""
_PERIOD_S = 0.004
_LOCKSTEP_READINGS = 20
_GRAVITY_M_S2 = 9.81
_MODE_REMEDIES = {
    "stopped": "find out who stopped it and why, then recover it",
    "fault": "remove the cause that the device names, then recover it",
}


@dataclass(frozen=True)
class _Reading:
    state: RobotState
    round_trip_s: float
    now_s: float
    """The cell's clock before the reading: a machine that stalls makes no state look older than it is."""


def arm_findings(
    cell: Workcell, kept: Kept | None, watch_s: float, force_max_n: float, torque_max_nm: float
) -> Iterator[Finding]:
    """Mode, payload, control cycles, round trips and stamps of the connected arm.

    Control of an arm that is `kept` from it starts only when its payload is right: under impedance control an arm sinks
    by what its load is heavier than it was told. It does not start when somebody else has stopped the arm meanwhile.
    """
    is_controlled = kept is None
    try:
        readings = list(_readings(cell, watch_s))
        payload = _payload(cell, [reading.state for reading in readings], force_max_n, torque_max_nm)
        if kept is not None and kept.is_alone and readings[-1].state.mode == "stopped" and payload.status != "failed":
            cell.robot.recover()
            list(_readings(cell, _FIRST_CYCLES_S))
            readings = list(_readings(cell, watch_s))
            is_controlled = True
    except Exception as error:  # a plugin's own errors too
        yield failed("arm", said_of(error), "repair this first; nothing else of the arm was examined")
        return
    not_started = _NOT_STARTED if kept is None or kept.is_alone else _STOPPED
    yield (
        _mode(readings[-1].state) if is_controlled or _is_down(readings, kept) else not_applicable("mode", not_started)
    )
    yield payload
    yield _control_cycles(readings) if is_controlled else not_applicable("control cycles", not_started)
    yield _round_trips(readings)
    yield _stamps(cell, readings)


def _is_down(readings: list[_Reading], kept: Kept | None) -> bool:
    """Whether something else than the stop of this command keeps the arm from control."""
    return kept is not None and (not kept.is_alone or readings[-1].state.mode != "stopped")


def _readings(cell: Workcell, watch_s: float) -> Iterator[_Reading]:
    """States of `watch_s`; in lock-step no time passes by itself, and a few states are enough."""
    end_s = time.monotonic() + watch_s
    count = 0
    while count < _LOCKSTEP_READINGS or (not cell.clock.is_lockstep and time.monotonic() < end_s):
        now_s, asked_s = cell.clock.now_s(), time.monotonic()
        state = cell.robot.get_state()
        yield _Reading(state, time.monotonic() - asked_s, now_s)
        count += 1
        if not cell.clock.is_lockstep:
            time.sleep(_PERIOD_S)


def _mode(state: RobotState) -> Finding:
    if state.mode == "holding":
        return passed("mode", "holding")
    found = state.mode + (f" ({', '.join(state.faults)})" if state.faults else "")
    if state.stop is not None:
        found += f" by {state.stop.author}: {state.stop.cause}"
    return failed("mode", found, _MODE_REMEDIES.get(state.mode, "wait until nobody commands the arm, and check again"))


def _payload(cell: Workcell, states: list[RobotState], force_max_n: float, torque_max_nm: float) -> Finding:
    subject = "payload"
    if not cell.robot.spec.measures_wrench:
        return not_applicable(subject, "this arm measures no forces")
    if _has_moved(states):
        return failed(subject, "the arm moves, so its payload cannot be judged", "let it rest, and check again")
    wrenches = np.array([state.wrench_in_tcp for state in states])
    mean, spread = wrenches.mean(axis=0), wrenches.std(axis=0)
    force_n, torque_nm = np.linalg.norm(mean[:3]), np.linalg.norm(mean[3:])
    force_spread_n, torque_spread_nm = np.linalg.norm(spread[:3]), np.linalg.norm(spread[3:])
    found = (
        f"mean {force_n:.2f} N and {torque_nm:.2f} Nm (allowed {force_max_n:g} N, {torque_max_nm:g} Nm), "
        f"spread {force_spread_n:.2f} N and {torque_spread_nm:.2f} Nm"
    )
    if force_n > force_max_n or torque_nm > torque_max_nm:
        return failed(subject, found, _load_remedy(states[-1], mean))
    if force_spread_n > _SPREAD_FORCE_N or torque_spread_nm > _SPREAD_TORQUE_NM:
        return failed(subject, found, "something touches or shakes the tool: free it, and fasten loose cables")
    return passed(subject, found)


def _has_moved(states: list[RobotState]) -> bool:
    places = RecentPlaces(_STILL_S, oldest_s=2.0 * _STILL_S)
    for state in states:
        places.add(state.stamp_s, state.joint_positions_rad)
        way = places.newest_way()
        if way is not None and way.largest_rad > _STILL_RAD_S * way.span_s:
            return True
    return False


def _load_remedy(state: RobotState, mean_wrench_in_tcp: np.ndarray) -> str:
    """Return what the vertical part of the residual says about the load that the arm was told."""
    down_n = -float(spatial.rotate_vec6(state.tcp_pose_in_base[3:], mean_wrench_in_tcp)[2])
    kind = "heavier" if down_n > 0.0 else "lighter"
    return (
        "free the tool of every contact; then set mass and centre of mass of tool and load (Desk's end effector, or "
        f"[robot.load]): by its vertical force the tool is {abs(down_n) / _GRAVITY_M_S2:.2f} kg {kind} than the arm "
        "was told"
    )


def _control_cycles(readings: list[_Reading]) -> Finding:
    rates = [reading.state.control_success_rate for reading in readings]
    found = f"{np.mean(rates):.1%} served in time, at worst {min(rates):.1%}"
    if min(rates) < _SUCCESS_RATE_MIN:
        fix = "use a PREEMPT_RT kernel and a direct cable, and end other programs on this PC: docs/control_pc.md"
        return failed("control cycles", found, fix)
    return passed("control cycles", found)


def _round_trips(readings: list[_Reading]) -> Finding:
    times_s = [reading.round_trip_s for reading in readings]
    usual_s, late_s = np.median(times_s), float(np.quantile(times_s, 0.95))
    found = f"{1e3 * usual_s:.1f} ms, 95 % within {1e3 * late_s:.1f} ms (allowed {1e3 * _ROUND_TRIP_MAX_S:.0f} ms)"
    if late_s > _ROUND_TRIP_MAX_S:
        return failed("round trip", found, "use a cable in place of a radio link, and end what loads this machine")
    return passed("round trip", found)


def _stamps(cell: Workcell, readings: list[_Reading]) -> Finding:
    subject = "state stamps"
    stamps_s = np.array([reading.state.stamp_s for reading in readings])
    if (np.diff(stamps_s) < 0.0).any():
        return failed(subject, "a state was older than the one before", "report it to the author of the driver")
    if cell.clock.is_lockstep:
        return not_applicable(subject, "in lock-step time passes only on request")
    allowed_s = cell.limits.state_max_age_s or _STATE_AGE_MAX_S
    oldest_s = max(0.0, *(reading.now_s - reading.state.stamp_s for reading in readings))
    # A reading here is over when it returns, as for a hold; that of a server in the middle of the round trip.
    share = 0.5 if isinstance(cell.robot, RemoteRobot) else 1.0
    youngest_s = min(reading.now_s + share * reading.round_trip_s - reading.state.stamp_s for reading in readings)
    steps_s = np.diff(np.unique(stamps_s))
    if not len(steps_s):
        return failed(subject, f"no new state in {readings[-1].now_s - stamps_s[0]:.2f} s", "check the arm's cable")
    found = (
        f"a new state every {1e3 * np.median(steps_s):.1f} ms, longest gap {1e3 * steps_s.max():.0f} ms, oldest "
        f"{1e3 * oldest_s:.0f} ms (allowed {1e3 * allowed_s:.0f} ms)"
    )
    if oldest_s > allowed_s:
        return failed(subject, found, "use a cable in place of a radio link, and end what loads this machine")
    if youngest_s > _HELD_AGE_S:
        found = f"none is younger than {1e3 * youngest_s:.0f} ms (allowed to hold the arm: {1e3 * _HELD_AGE_S:.0f} ms)"
        return failed(
            subject, found, "measure nearer to the arm: with less buffering, or a shorter way to its controller"
        )
    return passed(subject, found)
