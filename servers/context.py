"""`ServerContext`: the objects that the routes of one server share, with the dependencies that give it to them."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Annotated, TypeVar

from fastapi import Depends
from pydantic import TypeAdapter
from starlette.requests import HTTPConnection

from robotkit.aside import aside_logger
from robotkit.devices import BaseGripperServer
from robotkit.devices.machine import Moment
from robotkit.devices.words import said_of
from robotkit.errors import InvalidCommand, Unsupported
from robotkit.safety import SafeRobot
from robotkit.schema import CellState, ComplianceParams, StepRequest
from robotkit.workcell import Workcell
from servers.access import Client, Scope
from servers.audit import AuditLog
from servers.control import Control
from servers.copies import StopCopies
from servers.errors import endings_as_faults, parse, reported, validated
from servers.heartbeats import Heartbeats
from servers.lanes import Lanes
from servers.metrics import Metrics
from servers.reads import Reads
from servers.seen import Moments
from servers.settings import ServerSettings
from servers.stops import StopOwners
from servers.telling import Teller
from servers.turns import CURRENT_CALLER, Caller

_log = aside_logger(__name__)

T = TypeVar("T")


class ServerContext:
    """The cell, who commands it, and what SERL's partial requests need to remember."""

    def __init__(self, workcell: Workcell, settings: ServerSettings) -> None:
        self.workcell = workcell
        self.settings = settings
        self.serl_clear_requests = 0
        """How often a SERL client asked to clear errors; counted, never obeyed."""
        self.started_s = time.monotonic()
        self.streamed_hz = dict.fromkeys(Scope, 0.0)
        """States per second that all streams together asked for, by what their clients may do."""
        self.lanes = Lanes()
        self.reads = Reads(workcell, self.lanes)
        self.moments = Moments(workcell.robot)
        self.heartbeats = Heartbeats()
        self.stop_copies = StopCopies[Moment | None]()
        self.teller = Teller()
        self.events = self.teller.events
        self.audit = AuditLog(settings.audit, workcell.name) if settings.audit is not None else None
        self.metrics = Metrics(self)
        self.control = Control(
            workcell, self.lanes, self.moments, self.teller, self.metrics.command_s, settings.lease_timeout_s
        )
        self.lease, self.turns = self.control.lease, self.control.turns
        self._stop_owners = StopOwners()
        self._has_ended = False
        self.events.subscribe(self.metrics)
        if self.audit is not None:
            self.events.subscribe(self.audit)
        self._unsubscribe: Callable[[], None] = lambda: None
        if isinstance(workcell.robot, SafeRobot):
            self._unsubscribe = workcell.robot.subscribe(self.teller.tell_of_arm)

    def parse_command(self, client: Client, adapter: TypeAdapter[T], content: bytes | str) -> T:
        """The validated command that `client` sent to the cell.

        Raises:
            InvalidCommand: it does not validate.
        """
        try:
            return parse(adapter, content)
        except InvalidCommand as error:
            self.teller.tell_refused(client, error)
            raise

    def step(
        self, client: Client, request: StepRequest, deadline_s: float | None = None, moment: Moment | None = None
    ) -> CellState:
        """Carry out a control step.

        Raises:
            CommandRejected: as `Control.acquire` says, or as the cell itself does.
        """
        commands_arm = request.command is not None
        with self.control.acquire(client, deadline_s=deadline_s, moment=moment, commands_arm=commands_arm) as cell:
            return cell.handle(request)

    def set_compliance(self, client: Client, params: ComplianceParams) -> None:
        """Change the fields of the impedance law that `params` was given; the arm keeps the others."""
        given = {name: getattr(params, name) for name in params.model_fields_set}
        self.change_compliance(client, lambda present: validated(ComplianceParams, present.model_dump() | given))

    def change_compliance(self, client: Client, change: Callable[[ComplianceParams], ComplianceParams]) -> None:
        """Change the impedance law, starting from the one in force.

        Args:
            client: who asks.
            change: returns the new parameters; called while no other command can change them.

        Raises:
            InvalidCommand: the new parameters do not validate; the arm keeps its own.
            Unsupported: the arm has no impedance law, or does not say which.
        """
        with self.control.acquire(client) as cell:
            present = cell.robot.compliance
            if present is None:
                raise Unsupported(f"arm {cell.robot.spec.name!r} has no impedance law that could be changed")
            cell.robot.set_compliance(change(present))

    def stop(self, client: Client) -> Moment | None:
        """Stop the arm; nobody but this client, or an operator, may recover it.

        Returns:
            What has come to the arm with this stop, but for what came while the device was told.
        """
        before = self.moments.now
        self._stop_owners.add(client)
        try:
            self.workcell.robot.stop_for(self.teller.cause_of_stop(client), client.name)
        finally:
            # A recovery that came before the arm had stopped has forgotten the owner.
            self._stop_owners.add(client)
        now = self.moments.now
        return None if before is None or now is None else before._replace(stops=now.stops)

    def recover(self, client: Client, stops_seen: int | None = None) -> Moment | None:
        """Recover the arm from a stop or a fault; one that came since the request arrived stays.

        Args:
            client: who asks.
            stops_seen: `RobotState.stops` of the state that it has seen; a stop since stays. None: it does not say.

        Returns:
            What has come to the arm with it; None where more came meanwhile.

        Raises:
            Forbidden: another client stopped the arm, and this one's token does not allow to undo that.
            RobotStopped: another stop came since; it stays.
            InvalidCommand: fewer stops have come than it has seen.
            ConnectionFailed: the caller is gone.
        """
        # Before the owners are asked: a stop that is not counted yet has its owner by the time of the question.
        caller, robot = CURRENT_CALLER.get(None) or Caller(), self.workcell.robot
        moment = caller.moment or self.moments.now
        try:
            caller.require_present()
            with self._stop_owners.recovery(client), endings_as_faults():
                before = self.moments.now
                if isinstance(robot, SafeRobot):
                    if stops_seen is None and moment is not None:
                        stops_seen = moment.stops
                    robot.recover(stops_seen)
                else:
                    robot.recover()
        except Exception as error:
            failure = reported(error)
            self.teller.tell("recover_failed", client, failure.message, failure.code)
            raise
        self.teller.tell("recover", client)
        return self.moments.only_one_since(before)

    def stop_at_start(self) -> None:
        """Stop a real arm until somebody recovers it: its clients may go on by themselves.

        Those of a server that was there before would move it within a second, also from a stop that was lost with it.
        """
        if not self.workcell.robot.spec.is_simulated:
            self._stop("the server was started: see that the cell is clear")

    def close(self) -> None:
        """End the subscription to the arm, and write the rest of the audit log."""
        self._unsubscribe()
        if self.audit is not None:
            self.audit.close()

    def shutdown_stop(self) -> None:
        """Latch a stop before the server ends, once, and let no command start any more."""
        if not self._has_ended:
            self._has_ended = True
            self.turns.close(partial(self._stop, "the server is shutting down"), self.workcell.clock.wake)

    def _stop(self, cause: str) -> None:
        """Stop; an arm that does not take it is stopped all the same and told again, and keeps nothing else waiting."""
        try:
            self.workcell.robot.stop_for(cause, "robotkit-serve")
        except Exception as error:
            _log.warning("the arm did not take its stop (%s): %s", cause, said_of(error))


def gripper_of(cell: Workcell) -> BaseGripperServer:
    """The gripper of a cell.

    Raises:
        Unsupported: it has none.
    """
    if cell.gripper is None:
        raise Unsupported(f"cell {cell.name!r} has no gripper")
    return cell.gripper


async def get_context(connection: HTTPConnection) -> ServerContext:
    """The context of the app that serves this request."""
    context: ServerContext = connection.app.state.context
    return context


ContextDep = Annotated[ServerContext, Depends(get_context)]
