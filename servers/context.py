"""`ServerContext`, what the routes of one server share, with the dependencies that hand it out."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import Depends, Header
from pydantic import ValidationError
from starlette.requests import HTTPConnection

from robotkit.devices import BaseGripperServer
from robotkit.errors import CommandRejected, DeviceError, RobotkitError, Unsupported
from robotkit.schema import CellState, ComplianceParams, StepRequest
from robotkit.schema.wire import CLIENT_HEADER
from robotkit.workcell import Workcell
from servers.errors import describe_errors
from servers.lease import ControlLease
from servers.settings import ServerSettings

_log = logging.getLogger(__name__)


class ServerContext:
    """The cell, who commands it, and what SERL's partial requests need to remember."""

    def __init__(self, workcell: Workcell, settings: ServerSettings) -> None:
        self.workcell = workcell
        self.settings = settings
        self.lease = ControlLease(settings.lease_timeout_s)
        self.compliance = ComplianceParams()
        """Last accepted parameters: SERL's `update_param` changes single ones."""
        self.serl_clear_requests = 0
        """How often a SERL client asked to clear errors; counted, never obeyed."""
        self.started_s = time.monotonic()
        self._in_turn = threading.Lock()

    @contextmanager
    def commanding(self, client: str) -> Iterator[Workcell]:
        """Hold the control lease, one command after the other.

        Raises:
            ControlHeld: another client commands this cell.
        """
        with self.lease.control(client), self._in_turn:
            yield self.workcell

    def step(self, client: str, body: bytes | str) -> CellState:
        """Parse a `StepRequest` and carry it out.

        Raises:
            InvalidCommand: it does not validate; every field is named.
            ControlHeld: another client commands this cell.
        """
        try:
            request = StepRequest.model_validate_json(body)
        except ValidationError as error:
            raise describe_errors(error.errors()) from error
        with self.commanding(client) as cell:
            return cell.handle(request)

    def gripper(self) -> BaseGripperServer:
        """The cell's gripper.

        Raises:
            Unsupported: it has none.
        """
        if self.workcell.gripper is None:
            raise Unsupported(f"cell {self.workcell.name!r} has no gripper")
        return self.workcell.gripper

    def set_compliance(self, client: str, params: ComplianceParams) -> None:
        """Change the impedance law and remember how."""
        with self.commanding(client) as cell:
            cell.robot.set_compliance(params)
            self.compliance = params

    def let_go(self, client: str) -> bool:
        """End a client's control: the robot holds where it is; True when the client had control."""
        if self.lease.holder != client:
            return False
        self.hold()
        return self.lease.release(client)

    def hold(self) -> None:
        """Hold the measured pose; an arm that is stopped or in a fault holds already."""
        try:
            self.workcell.robot.hold()
        except (CommandRejected, DeviceError) as error:
            _log.info("hold: %s", error)

    def stop_for_good(self) -> None:
        """Latch a stop before the server ends; an arm that cannot be reached does not keep the rest from closing."""
        try:
            self.workcell.robot.stop()
        except RobotkitError as error:
            _log.warning("the arm did not take the last stop: %s", error)


async def get_context(connection: HTTPConnection) -> ServerContext:
    """The context of the app that serves this request."""
    context: ServerContext = connection.app.state.context
    return context


async def client_name(
    connection: HTTPConnection, x_robotkit_client: Annotated[str | None, Header(alias=CLIENT_HEADER)] = None
) -> str:
    """Who asks: the client's own name, else the address it comes from (SERL's clients send no name)."""
    if x_robotkit_client:
        return x_robotkit_client
    return f"address {connection.client.host if connection.client else 'unknown'}"


ContextDep = Annotated[ServerContext, Depends(get_context)]
ClientDep = Annotated[str, Depends(client_name)]
