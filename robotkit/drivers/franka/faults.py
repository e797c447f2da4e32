"""The conversion of foreign exceptions and error flags into robotkit's errors, each with a remedy."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import franky

from robotkit.errors import ConnectionFailed, DeviceFault, InvalidConfiguration, RobotkitError

_ADVICE: Mapping[str, str] = {
    "communication_constraints_violation": "20 commands in a row came late; see the real-time section of "
    "docs/control_pc.md",
    "cartesian_reflex": "the force at the tool went above collision_force_n",
    "joint_reflex": "the torque of a joint went above collision_torque_nm",
    "controller_torque_discontinuity": "the torque jumped; lower torque_rate_limit_nm or the stiffness",
    "joint_position_limits_violation": "a joint is at its end; move it back by hand in guiding mode, or in Desk",
    "joint_velocity_violation": "a joint moved too fast; send smaller steps or use smaller clips",
    "cartesian_velocity_violation": "the tool moved too fast; send smaller steps or use smaller clips",
    "power_limit_violation": "the arm needed too much power; lower the stiffness, check the load",
    "self_collision_avoidance_violation": "the arm came near itself; move it away in guiding mode",
    "user_stopped": "the external enabling device or emergency stop is pressed; release it",
    "guiding": "somebody holds the guiding buttons; let go of them",
    "programming_mode": "Desk is in programming mode; switch it to execution (the light is blue then)",
}

_MODE_FAULTS = {
    franky.RobotMode.UserStopped: "user_stopped",
    franky.RobotMode.Guiding: "guiding",
    franky.RobotMode.Other: "programming_mode",
}

_OLD_WHEEL = (
    "franky's wheel on PyPI speaks to system version 5.9 and later (FR3); other arms, Panda included, need the wheel "
    "of their own version, see docs/control_pc.md"
)


@dataclass(frozen=True)
class Fault:
    """Why the arm cannot be commanded."""

    names: tuple[str, ...]
    """The controller's own names."""
    error: RobotkitError
    """The error that a command raises."""

    @classmethod
    def named(cls, names: tuple[str, ...]) -> Fault:
        """A fault that the controller reports."""
        return cls(names, device_fault(names))


def fault_names(state: franky.RobotState) -> tuple[str, ...]:
    """The controller's own names of what is wrong now; none when it can be commanded."""
    names = tuple(error_names(str(state.current_errors)))
    if state.robot_mode == franky.RobotMode.Reflex:
        return names or tuple(error_names(str(state.last_motion_errors))) or ("reflex",)
    mode = _MODE_FAULTS.get(state.robot_mode)
    return names if mode is None else (*names, mode)


def error_names(text: str) -> list[str]:
    """The quoted names in one of libfranka's texts: `motion aborted by reflex! ["cartesian_reflex"]`."""
    return re.findall(r'"(\w+)"', text)


def device_fault(names: tuple[str, ...]) -> DeviceFault:
    """The error that tells what is wrong and what to do."""
    reasons = "; ".join(f"{name} ({_ADVICE[name]})" if name in _ADVICE else name for name in names)
    return DeviceFault(f"the Franka arm reports {reasons}. Call recover() when it is safe to move again")


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raise franky's errors inside as the project's own; `doing` begins the message ("connecting to 172.16.0.2")."""
    try:
        yield
    except franky.IncompatibleVersionException as error:
        raise ConnectionFailed(f"{doing}: {_text(error)}. {_OLD_WHEEL}") from error
    except franky.NetworkException as error:
        raise _unreachable(doing, error) from error
    except franky.RealtimeException as error:
        raise InvalidConfiguration(
            f'{doing}: {error}. Install a PREEMPT_RT kernel (docs/control_pc.md), or set realtime = "ignore"'
        ) from error
    except franky.Exception as error:
        raise _refused(doing, error) from error
    except RuntimeError as error:
        # franky lets the network library's own exception through when a closed arm is read.
        if "Net Exception" not in str(error):
            raise
        raise _unreachable(doing, error) from error


def _unreachable(doing: str, error: Exception) -> ConnectionFailed:
    return ConnectionFailed(
        f"{doing}: {_text(error)}. Check power, cable and address, and that FCI is active in Desk; then call recover()"
    )


def _refused(doing: str, error: Exception) -> RobotkitError:
    names = tuple(error_names(str(error)))
    fault = (
        device_fault(names) if set(names) & set(_ADVICE) else DeviceFault(f"{_text(error)}. Call recover() to clear it")
    )
    return DeviceFault(f"{doing}: {fault.message}")


def _text(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(". ")
