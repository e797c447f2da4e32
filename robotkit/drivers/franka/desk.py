"""Franka's Desk without a browser: it reads the state, unlocks the brakes and activates FCI, and announces each step.

Nothing here is called by the drivers: unlocking brakes and activating FCI are decisions of a person beside the arm.
`python -m robotkit.drivers.franka.desk HOST state|unlock-brakes|activate-fci --user NAME`
"""

from __future__ import annotations

import argparse
import getpass
import http.client
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from franky import desk as franky_desk
from pydantic import Field, SecretStr

from robotkit.errors import ConnectionFailed, ControlHeld, DeviceFault, RobotkitError, Unauthorized
from robotkit.schema import PluginConfig

PASSWORD_VARIABLE = "FRANKA_DESK_PASSWORD"
_ACTION_S = 20.0
"""Longest time of an action: brakes take some seconds, joint after joint."""
_POLL_PERIOD_S = 0.2

Tell = Callable[[str], None]


class DeskOptions(PluginConfig):
    """The address and the login of Desk."""

    host: str = Field(min_length=1)
    """Address of the control box."""
    username: str = Field(min_length=1)
    password: SecretStr
    api: Literal["v1", "legacy"] = "v1"
    """"legacy" for a Panda, and for an FR3 with a system before 5."""
    timeout_s: float = Field(10.0, gt=0.0, le=60.0)
    """Longest wait for a connection, and for the control token that another session holds."""


@dataclass(frozen=True)
class DeskState:
    """The state of the arm according to Desk."""

    mode: str
    """"Execution", in which FCI works, or "Programming"."""
    brakes: str
    """"Locked", "Unlocked", or "Mixed" when the joints differ."""
    fci: str | None
    """Desk's own word; None where the API does not tell."""

    def __str__(self) -> str:
        return f"mode {self.mode}, brakes {self.brakes}, FCI {self.fci or 'not told'}"


def read_state(options: DeskOptions) -> DeskState:
    """Ask Desk; changes nothing and needs no control token.

    Raises:
        ConnectionFailed: nobody answers.
        Unauthorized: Desk refuses the name or the password.
    """
    with _session(options) as session:
        return _state(session)


def unlock_brakes(options: DeskOptions, tell: Tell) -> DeskState:
    """Unlock the brakes: the arm may sag a little. Does nothing when they are unlocked.

    Args:
        options: how to reach Desk.
        tell: takes a sentence before each step.

    Raises:
        ControlHeld: another session holds the control token.
        DeviceFault: Desk refuses, or the brakes stay as they are.
    """
    with _session(options) as session:
        if (state := _state(session)).brakes == "Unlocked":
            tell("the brakes are unlocked already")
            return state
        tell(f"{state}; taking control and unlocking the brakes of the arm at {options.host}")
        session.take_control(wait_timeout=options.timeout_s)
        session.unlock_brakes()
        return _wait(session, lambda now: now.brakes == "Unlocked", "the brakes are not unlocked")


def activate_fci(options: DeskOptions, tell: Tell) -> DeskState:
    """Activate the interface that the driver uses; the arm has to be in execution mode with unlocked brakes.

    Args:
        options: how to reach Desk.
        tell: takes a sentence before each step.

    Raises:
        ControlHeld: another session holds the control token.
        DeviceFault: mode or brakes do not allow it, Desk refuses, or FCI stays inactive.
    """
    with _session(options) as session:
        state = _state(session)
        if state.fci == "Active":
            tell("FCI is active already")
            return state
        if state.mode != "Execution":
            raise DeviceFault(f"the arm is in {state.mode} mode; switch it to Execution in Desk, or with its switch")
        if state.brakes != "Unlocked":
            raise DeviceFault(f"the brakes are {state.brakes}; unlock them first")
        tell(f"{state}; taking control and activating FCI of the arm at {options.host}")
        session.take_control(wait_timeout=options.timeout_s)
        session.enable_fci()
        return _wait(session, lambda now: now.fci in ("Active", None), "FCI is not active")


def _state(session: Any) -> DeskState:
    try:
        brakes = session.brake_state.value
    except franky_desk.DeskError as error:
        if isinstance(error, franky_desk.FrankaAPIError):
            raise
        brakes = "Mixed"  # franky's own word for joints that differ is this error
    fci = session.get_fci_status() if isinstance(session, franky_desk.Desk) else None
    return DeskState(session.operating_mode.value, brakes, fci)


def _wait(session: Any, is_reached: Callable[[DeskState], bool], what: str) -> DeskState:
    end_s = time.monotonic() + _ACTION_S
    while not is_reached(state := _state(session)):
        if time.monotonic() > end_s:
            raise DeviceFault(f"{what} {_ACTION_S:g} s after they were asked to be: {state}; look into Desk")
        time.sleep(_POLL_PERIOD_S)
    return state


@contextmanager
def _session(options: DeskOptions) -> Iterator[Any]:
    """An open session; control that it took is released at its end."""
    kind = franky_desk.Desk if options.api == "v1" else franky_desk.DeskWebSession
    session = kind(options.host, options.username, options.password.get_secret_value())
    try:
        session.open(timeout=options.timeout_s)
        try:
            yield session
        finally:
            session.close()
    except franky_desk.TakeControlTimeoutError as error:
        raise ControlHeld(
            f"Desk at {options.host}: another session controls the arm; release control there, then try again"
        ) from error
    except franky_desk.FrankaAPIError as error:
        if error.http_code in (401, 403):
            raise Unauthorized(f"Desk at {options.host} refuses user {options.username!r} or the password") from error
        raise DeviceFault(f"Desk at {options.host} refuses: {error}") from error
    except (OSError, http.client.HTTPException) as error:
        raise ConnectionFailed(
            f"Desk at {options.host} does not answer: {error}. Check power, cable and address"
        ) from error


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def main(arguments: list[str]) -> int:
    """Run one action from the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m robotkit.drivers.franka.desk", description=__doc__)
    parser.add_argument("host", help="address of the control box")
    parser.add_argument("action", choices=("state", "unlock-brakes", "activate-fci"))
    parser.add_argument("--user", required=True, help=f"Desk's user; its password is taken from {PASSWORD_VARIABLE}")
    parser.add_argument("--api", choices=("v1", "legacy"), default="v1", help="legacy: Panda, and FR3 before system 5")
    parser.add_argument("--yes", action="store_true", help="do not ask before the state of the arm is changed")
    chosen = parser.parse_args(arguments)
    password = os.environ.get(PASSWORD_VARIABLE) or getpass.getpass("Password in Desk: ")
    options = DeskOptions(host=chosen.host, username=chosen.user, password=SecretStr(password), api=chosen.api)
    is_change = chosen.action != "state"
    if is_change and not chosen.yes and input(f"{chosen.action} at {chosen.host}: type yes to go on: ") != "yes":
        _say("nothing was changed")
        return 1
    try:
        if chosen.action == "unlock-brakes":
            state = unlock_brakes(options, _say)
        elif chosen.action == "activate-fci":
            state = activate_fci(options, _say)
        else:
            state = read_state(options)
    except RobotkitError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    _say(str(state))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
