"""`python -m servers`, also installed as `robotkit-serve`: put a workcell on the network."""

from __future__ import annotations

import gc
import os
import signal
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn

if TYPE_CHECKING:
    from robotkit.workcell import Workcell
    from servers.settings import ServerSettings

_SWITCH_INTERVAL_S = 0.0005
_EXIT_S = 5.0
"""The process ends this long after a signal at the latest, even when a device hangs."""


@dataclass(frozen=True)
class Serve:
    """Put a workcell behind HTTP and websockets.

    Exit status: 0 ended by a signal, 1 a device failed, 2 the request was wrong.
    """

    cell: str
    """A registered name (`robotkit list`), or the path of a workcell file (.toml)."""
    host: str = "127.0.0.1"
    """Address to listen on; any other than loopback needs a token."""
    port: int = 5000
    """Port to listen on; 0 lets the system choose."""
    token: str | None = None
    """Token that allows everything. Better set ROBOTKIT_TOKEN: others can read a command line."""
    read_token: str | None = None
    """Token that allows to read and to stop (ROBOTKIT_READ_TOKEN)."""
    command_token: str | None = None
    """Token that also allows to command, but not to recover from another's stop (ROBOTKIT_COMMAND_TOKEN)."""
    operate_token: str | None = None
    """A second token that allows everything, for people (ROBOTKIT_OPERATE_TOKEN)."""
    clock: Literal["real", "lockstep"] | None = None
    """Let time pass by itself, or only on request (simulated cells). Left out: as the cell says."""
    stream_rate_max_hz: float = 500.0
    """Highest rate of states on the websocket."""
    lease_timeout_s: float = 1.0
    """Time without a command after which another client may take control."""
    tls_cert: Path | None = None
    """PEM file of the server's certificate, with the chain up to its authority; serves https."""
    tls_key: Path | None = None
    """PEM file of the certificate's private key."""
    audit: str | None = None
    """File for the audit log, or "off"; left out: the state directory, for a real arm."""
    serl_gripper: Literal["robotiq", "franka-hand", "hil-serl"] = "robotiq"
    """Unit of the gripper in SERL's routes: 0 open to 255 closed (robotiq), metres (franka-hand), or 0 closed to 1 open
    (hil-serl)."""


def main() -> None:
    """Parse the command line and serve until a signal comes."""
    _open_standard_files()
    # While packages are loaded, Ctrl+C ends the process at once and without a traceback: no device is connected yet.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    import tyro

    from robotkit.console import exit_status
    from robotkit.option_errors import refusals_as_sentences

    config: list[Serve] = []

    def parse() -> int:
        with refusals_as_sentences("robotkit-serve"):
            config.append(tyro.cli(Serve, prog="robotkit-serve"))
        return 0

    if status := exit_status(parse):
        sys.exit(status)
    from servers.ending import end_for_certain, prepare_to_end
    from servers.log import log_aside
    from servers.runner import take_signals

    log_aside()
    prepare_to_end()
    # Also while devices are still being connected, a signal ends in an orderly exit.
    take_signals(_leave)

    def run() -> int:
        serve(config[0])
        return 0

    try:
        sys.exit(exit_status(run))
    finally:
        end_for_certain(_EXIT_S)


def serve(config: Serve) -> None:
    """Build, connect, announce, serve.

    Raises:
        RobotkitError: the cell cannot be built or connected, or the port is taken; nothing is left connected.
    """
    from servers.app import create_app
    from servers.runner import CellServer, bind, url_of

    settings = settings_of(config)
    with bind(settings.host, settings.port) as bound, _build(config) as workcell:
        settings = replace(settings, audit=_audit_path(config.audit, workcell))
        server = CellServer(create_app(workcell, settings), exit_s=_EXIT_S)
        _announce(workcell, url_of(bound, settings))
        # A stop waits for Python's lock a few times on its way: each time this long while another thread computes.
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        # Whatever is loaded by now stays: collections that look through it again and again take a tenth of a second.
        gc.collect()
        gc.freeze()
        server.run(sockets=[bound])


def settings_of(config: Serve) -> ServerSettings:
    """The server's settings: the command line's, and the environment's where it says nothing.

    Raises:
        InvalidConfiguration: they contradict each other.
    """
    from servers.settings import ServerSettings

    return ServerSettings(
        host=config.host,
        port=config.port,
        token=_secret(config.token, "ROBOTKIT_TOKEN"),
        read_token=_secret(config.read_token, "ROBOTKIT_READ_TOKEN"),
        command_token=_secret(config.command_token, "ROBOTKIT_COMMAND_TOKEN"),
        operate_token=_secret(config.operate_token, "ROBOTKIT_OPERATE_TOKEN"),
        stream_rate_max_hz=config.stream_rate_max_hz,
        lease_timeout_s=config.lease_timeout_s,
        tls_cert=config.tls_cert,
        tls_key=config.tls_key,
        serl_gripper=config.serl_gripper,
    )


def _build(config: Serve) -> Workcell:
    from robotkit.cells import is_url
    from robotkit.errors import InvalidConfiguration
    from robotkit.factory import make_workcell

    if is_url(config.cell):
        raise InvalidConfiguration(
            f"--cell {config.cell}: a server serves the devices of its own machine; give a registered name "
            "(robotkit list) or the path of a workcell file (.toml)"
        )
    overrides = {"clock": config.clock} if config.clock else {}
    return make_workcell(config.cell, **overrides)


def _announce(workcell: Workcell, url: str) -> None:
    from servers.log import say

    clock = "lock-step" if workcell.clock.is_lockstep else "real time"
    say(f"robotkit serves {workcell.name} ({clock}) at {url}\noperator's page: {url}/    stop with Ctrl+C")
    if not workcell.robot.spec.is_simulated:
        say(f"the arm takes no commands yet: recover it on that page, or with `robotkit recover {url}`")


def _audit_path(asked: str | None, workcell: Workcell) -> Path | None:
    """The audit log that was asked for; else the default one of a real arm, unless it cannot be written."""
    if asked is not None:
        return None if asked == "off" else Path(asked)
    if workcell.robot.spec.is_simulated:
        return None
    from robotkit.aside import aside_logger
    from servers.audit import default_path

    path = default_path(workcell.name, os.environ)
    try:
        if path is None:
            raise OSError(0, "there is neither STATE_DIRECTORY nor XDG_STATE_HOME nor HOME")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as error:
        aside_logger(__name__).warning("no audit log is kept: %s; name a file with --audit", error.strerror)
        return None
    return path


def _secret(given: str | None, variable: str) -> str | None:
    """A token from the command line, else from the environment, where an empty one counts as none."""
    return given if given is not None else os.environ.get(variable) or None


def _open_standard_files() -> None:
    """Have nothing else get the number of a standard file that was closed before the start: the log goes there."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 (it stays open: of the lowest number that is free)


def _leave(number: int, frame: object) -> NoReturn:
    from servers.ending import end_within

    # Libraries that are being loaded or compiled have been seen to swallow what a signal raises.
    end_within(_EXIT_S)
    sys.exit(0)


if __name__ == "__main__":
    main()
