"""`robotkit check`: the checks of a cell's limits."""

from __future__ import annotations

from collections.abc import Iterator

from robotkit.cli.finding import Finding, failed, not_applicable, passed
from robotkit.workcell import Workcell


def limit_findings(cell: Workcell) -> Iterator[Finding]:
    """One finding for each limit; a real arm needs workspace, speeds, watchdog and the age of its state."""
    limits = cell.limits
    yield _limit(cell, "workspace", "limits.workspace", _box(cell))
    speed = limits.max_tcp_speed_m_s
    yield _limit(cell, "tool speed", "limits.max_tcp_speed_m_s", None if speed is None else f"at most {speed:g} m/s")
    turn, key = limits.max_tcp_rotation_speed_rad_s, "limits.max_tcp_rotation_speed_rad_s"
    yield _limit(cell, "tool rotation", key, None if turn is None else f"at most {turn:g} rad/s")
    silence = limits.watchdog_s
    yield _limit(cell, "watchdog", "limits.watchdog_s", None if silence is None else f"holds after {silence:g} s")
    age_s = limits.state_max_age_s
    yield _limit(cell, "state age", "limits.state_max_age_s", None if age_s is None else f"at most {age_s:g} s")
    if limits.max_force_n is not None:
        yield passed("contact force", f"stops above {limits.max_force_n:g} N")
    elif cell.robot.spec.measures_wrench:
        yield not_applicable(
            "contact force", "limits.max_force_n is not set; only the arm's own reflex bounds a contact"
        )
    else:
        yield not_applicable("contact force", "this arm measures no forces")


def _box(cell: Workcell) -> str | None:
    box = cell.limits.workspace
    if box is None:
        return None
    sides = zip("xyz", box.position_min_m.tolist(), box.position_max_m.tolist(), strict=True)
    return ", ".join(f"{axis} {low:g} to {high:g}" for axis, low, high in sides) + " m"


def _limit(cell: Workcell, subject: str, key: str, value: str | None) -> Finding:
    if value is not None:
        return passed(subject, value)
    if cell.robot.spec.is_simulated:
        return not_applicable(subject, f"{key} is not set; a simulated arm may go without")
    if cell.limits.unlimited:
        return not_applicable(subject, f"{key} is not set; the cell says unlimited = true")
    return failed(subject, f"{key} is not set", f"set {key} in the workcell file before anything moves")
