"""The connection of the commands that operate a cell: its devices are connected until the command ends, in any way."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from robotkit.cli.cell_argument import open_cell
from robotkit.cli.interruptible import interruptible
from robotkit.cli.reading import keep_from_control
from robotkit.devices import BaseRobotServer, Device
from robotkit.devices.words import said_of
from robotkit.remote.devices import RemoteRobot
from robotkit.workcell import Workcell

_LOG = logging.getLogger(__name__)


@contextmanager
def connected(cell: Workcell, *devices: Device | None) -> Iterator[list[Device]]:
    """Connect the world of a simulation, then `devices`; close them, and what the cell itself has open, at the end.

    What is appended to the list that it gives is closed with them, and like them within the bound of the cell.

    Inside, SIGTERM and a terminal that is closed end the command as Ctrl+C does, so that everything is closed.
    """
    with interruptible(), cell.only(*devices) as opened:
        yield opened


@contextmanager
def reading(cell_name: str, token: str | None, reader: str, **overrides: Any) -> Iterator[Workcell]:
    """A cell, connected to be read; control of an arm in this process does not start.

    Cameras stay closed unless a tracker looks through them, and a device other than the arm that cannot be connected is
    reported among the errors of the state.
    """
    cell = open_cell(cell_name, token, **overrides)
    keep_from_control(cell.robot, reader)
    if cell.gripper is not None:
        cell.gripper.activates_on_connect = False
    with connected(cell, cell.robot) as opened:
        cameras = cell.cameras.values() if cell.trackers else ()
        for device in (cell.gripper, *cameras, *cell.trackers.values()):
            if device is not None:
                _connect_if_possible(device, opened)
        yield cell


def _connect_if_possible(device: Device, opened: list[Device]) -> None:
    try:
        device.connect()
    except Exception as error:  # a plugin's own errors too
        _LOG.warning("%s is not connected: %s", device.context.name, said_of(error))
    else:
        opened.append(device)


def arm_of_server(cell: Workcell) -> BaseRobotServer | None:
    """The arm of a cell behind a server, whose disconnection gives control back; None for one in this process."""
    return cell.robot if isinstance(cell.robot, RemoteRobot) else None
