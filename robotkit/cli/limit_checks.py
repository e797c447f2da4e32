"""`robotkit check`: the limits of a cell."""

from __future__ import annotations

from collections.abc import Iterator

from robotkit.cli.finding import Finding, failed, not_applicable, passed
from robotkit.workcell import Workcell


def is_simulated(cell: Workcell) -> bool:
    """True when nothing real can move."""
    return bool(getattr(cell.robot.spec, "is_simulated", cell.world is not None))


def limit_findings(cell: Workcell) -> Iterator[Finding]:
    """One finding for each limit; a real arm needs workspace, speed and watchdog."""
    limits = cell.limits
    yield _limit(cell, "workspace", "limits.workspace", _box(cell))
    speed = limits.max_tcp_speed_m_s
    yield _limit(cell, "tool speed", "limits.max_tcp_speed_m_s", None if speed is None else f"at most {speed:g} m/s")
    silence = limits.watchdog_s
    yield _limit(cell, "watchdog", "limits.watchdog_s", None if silence is None else f"holds after {silence:g} s")
    force = limits.max_force_n
    if not cell.robot.spec.measures_wrench:
        yield not_applicable("contact force", "this arm measures no forces")
    else:
        yield _limit(cell, "contact force", "limits.max_force_n", None if force is None else f"stops above {force:g} N")


def _box(cell: Workcell) -> str | None:
    box = cell.limits.workspace
    if box is None:
        return None
    sides = zip("xyz", box.position_min_m.tolist(), box.position_max_m.tolist(), strict=True)
    return ", ".join(f"{axis} {low:g} to {high:g}" for axis, low, high in sides) + " m"


def _limit(cell: Workcell, subject: str, key: str, value: str | None) -> Finding:
    if value is not None:
        return passed(subject, value)
    if is_simulated(cell):
        return not_applicable(subject, f"{key} is not set; a simulated arm may go without")
    if getattr(cell.limits, "unlimited", False):
        return not_applicable(subject, f"{key} is not set; the cell says unlimited = true")
    return failed(subject, f"{key} is not set", f"set {key} in the workcell file before anything moves")
