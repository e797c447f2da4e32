"""`ServerContext`: the objects that the routes of one server share, with the dependencies that give it to them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, TypeVar

from fastapi import Depends
from pydantic import TypeAdapter
from starlette.requests import HTTPConnection

from robotkit.devices import BaseGripperServer
from robotkit.devices.machine import ASKED_AT, Moment
from robotkit.devices.words import said_of
from robotkit.errors import (
    CommandRejected,
    ConnectionFailed,
    Forbidden,
    InvalidCommand,
    RobotkitError,
    Unsupported,
)
from robotkit.safety import SafeRobot, SafetyEvent
from robotkit.schema import CellState, ComplianceParams, StepRequest
from robotkit.workcell import Workcell
from servers.access import Client, Scope
from servers.audit import AuditLog
from servers.copies import StopCopies
from servers.errors import parse, reported, validated
from servers.events import Event, EventHub, EventKind
from servers.heartbeats import Heartbeats
from servers.lanes import Lanes
from servers.lease import ControlLease
from servers.metrics import Metrics
from servers.reads import Reads
from servers.seen import Moments
from servers.settings import ServerSettings
from servers.standing import HOLDS, make_stand, may_move
from servers.stops import StopOwners
from servers.turns import CURRENT_CALLER, Caller, Turns
from servers.versions import require_spoken

_log = logging.getLogger(__name__)

T = TypeVar("T")

GONE = "its connection is closed"
_ASKED_FROM = "a stop was asked for from "
_OPERATORS_MAX = 1024


class ServerContext:
    """The cell, who commands it, and what SERL's partial requests need to remember."""

    def __init__(self, workcell: Workcell, settings: ServerSettings) -> None:
        self.workcell = workcell
        self.settings = settings
        self.lease = ControlLease(settings.lease_timeout_s, on_taken=self._taken)
        self.serl_clear_requests = 0
        """How often a SERL client asked to clear errors; counted, never obeyed."""
        self.started_s = time.monotonic()
        self.streamed_hz = dict.fromkeys(Scope, 0.0)
        """States per second that all streams together asked for, by what their clients may do."""
        self.stopped_s: float | None = None
        """When the stop that is latched came, in monotonic seconds, where this server heard of it."""
        self.lanes = Lanes()
        self.reads = Reads(workcell, self.lanes)
        self.turns = Turns()
        self.moments = Moments(workcell.robot)
        self.heartbeats = Heartbeats()
        self.stop_copies = StopCopies[Moment | None]()
        self._stop_owners = StopOwners()
        self._operators: set[tuple[str, str]] = set()
        """Names and addresses of who has stopped with a token that operates."""
        self._commander: Client | None = None
        self._stood_for: Client | None = None
        """Whose control has ended with an arm that was made to stand, and who has commanded nothing since."""
        self._newest: tuple[object | None, Client | None, int] = (None, None, 0)
        """The connection of the newest command, its client, and how many commands in a row came over it."""
        self._has_ended = False
        self._tasks: set[asyncio.Task[bool]] = set()
        self.events = EventHub()
        self.audit = AuditLog(settings.audit, workcell.name) if settings.audit is not None else None
        self.metrics = Metrics(self)
        self.events.subscribe(self.metrics)
        if self.audit is not None:
            self.events.subscribe(self.audit)
        self._unsubscribe = lambda: None
        if isinstance(workcell.robot, SafeRobot):
            self._unsubscribe = workcell.robot.subscribe(self._tell_of_arm)

    @contextmanager
    def acquire_control(
        self,
        client: Client,
        is_motion: bool = False,
        deadline_s: float | None = None,
        moment: Moment | None = None,
    ) -> Iterator[Workcell]:
        """Hold the control lease, one command after the other, for as long as the caller waits for the answer.

        When another client commanded before, the arm holds first: its target is none that this client knows. A command
        that waits while a stop, a recovery or a hold that a client asks for comes is not carried out.

        Args:
            client: who commands.
            is_motion: True for a command that returns when the arm has arrived; no other command waits behind it.
            deadline_s: it does not start later, in monotonic seconds; None: as the caller's request says.
            moment: what had come to the arm when it was asked for; None: as the caller says, else now.

        Raises:
            Forbidden: the client's token does not allow to command.
            ProtocolError: the client speaks a version of the protocol that this server does not.
            ControlHeld: another client commands this cell.
            Busy: a blocking motion runs, or too many commands of this client wait.
            CommandExpired: its deadline passed before it could start.
            RobotStopped: a stop came since it was asked for, or the server is shutting down.
            TargetReplaced: a stop that is recovered, a recovery or a hold came since it was asked for.
            ConnectionFailed: the caller is gone.
        """
        has_begun = False
        try:
            client.require(Scope.COMMAND, "a command")
            caller = CURRENT_CALLER.get(None) or Caller()
            moment = moment or caller.moment or self.moments.now
            require_spoken(caller.protocol)
            with self.lease.control(client) as begin, self.turns.turn(client, caller, is_motion, deadline_s):
                caller.require_present()
                self.moments.require_nothing_since(moment)
                begin()
                if self._commander not in (None, client, self._stood_for):
                    self._make_stand(client, f"it takes over from {self._commander}", unless_at_rest=True)
                    self.moments.require_nothing_since(moment)
                self._commander = caller.client = client
                self._stood_for = None
                self._note(caller.connection, client)
                has_begun = True
                with self.metrics.command_s.time():
                    token = ASKED_AT.set(moment)
                    try:
                        yield self.workcell
                    finally:
                        ASKED_AT.reset(token)
                        self._stood_for = None  # a release that did not wait for this command's end
        except (CommandRejected, Forbidden, ConnectionFailed) as error:
            if not (has_begun and isinstance(error, ConnectionFailed)):
                self._tell_refused(client, error)
            raise

    def parse_command(self, client: Client, adapter: TypeAdapter[T], content: bytes | str) -> T:
        """The validated command that `client` sent to the cell.

        Raises:
            InvalidCommand: it does not validate.
        """
        try:
            return parse(adapter, content)
        except InvalidCommand as error:
            self._tell_refused(client, error)
            raise

    def _tell_refused(self, client: Client, error: RobotkitError) -> None:
        self.tell("refused", client, error.message, error.code)

    def step(
        self, client: Client, request: StepRequest, deadline_s: float | None = None, moment: Moment | None = None
    ) -> CellState:
        """Carry out a control step.

        Raises:
            CommandRejected: as `acquire_control` says, or as the cell itself does.
        """
        with self.acquire_control(client, deadline_s=deadline_s, moment=moment) as cell:
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
        with self.acquire_control(client) as cell:
            present = cell.robot.compliance
            if present is None:
                raise Unsupported(f"arm {cell.robot.spec.name!r} has no impedance law that could be changed")
            cell.robot.set_compliance(change(present))

    def hold_now(self, client: Client) -> tuple[Moment | None, Moment | None]:
        """Hold, without waiting for a turn: this also ends a blocking motion of the client.

        Returns:
            What had come to the arm before it, and with it; the second is None where more came meanwhile.

        Raises:
            Forbidden: the client's token does not allow to command.
            ControlHeld: another client commands this cell.
        """
        try:
            client.require(Scope.COMMAND, "a hold")
            with self.lease.control(client) as begin:
                begin()
                before = self.moments.note_hold()
                self.workcell.robot.hold()
            self.tell("hold", client, "it asked for it")
            return before, self.moments.only_a_hold_since(before)
        except (CommandRejected, Forbidden) as error:
            self._tell_refused(client, error)
            raise
        except Exception as error:
            failure = reported(error)
            self.tell("hold", client, f"it asked for it; the arm did not hold: {failure.message}", failure.code)
            raise

    def stop_unheld(self, client: Client, after_s: float) -> None:
        """Stop an arm that may move and has not held after so long, though its client asked for it."""
        if self.lease.holder in (None, client) and may_move(self.workcell.robot):
            words = f"the arm did not hold within {after_s:g} s"
            self.tell("hold", client, f"it asked for it; {words}; it is stopped")
            self.workcell.robot.stop_for(f"{words} ({client}: it asked for it)", "robotkit-serve")

    async def leave(self, caller: Caller) -> None:
        """Drop what a caller that is gone has asked for; from now on none of it starts, whatever is busy."""
        caller.is_gone = True
        await self.lanes.gone.run(self.drop, caller)

    def drop(self, caller: Caller) -> None:
        """Forget the commands of a caller that is gone, and hold when one of them acts."""

        def brake() -> None:
            self._make_stand(caller.client, "it is gone, and its command was under way")

        self.turns.end(brake, self.workcell.clock.wake, caller)

    def connection_lost(self, connection: object) -> None:
        """Let the client go that commanded over `connection`; called on the event loop.

        A client that keeps a connection, commands over it again and again, and closes it, is gone. One that opens a
        connection for every command (curl, SERL's clients) is not.
        """
        newest, client, commands = self._newest
        if client is not None and newest is connection and commands > 1:
            task = asyncio.get_running_loop().create_task(self.lanes.gone.run(self.release_control, client, GONE))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _note(self, connection: object | None, client: Client) -> None:
        newest, _, commands = self._newest
        self._newest = (connection, client, commands + 1 if connection is newest else 1)

    def release_control(self, client: Client, why: str = "it gave control back") -> bool:
        """End a client's control: the robot holds where it is; True when the client had control."""
        if self.lease.holder != client:
            return False
        outcomes: list[str] = []

        def stand(unless_at_rest: bool = False) -> None:
            outcomes.append(make_stand(self.workcell, f"{client}: {why}", unless_at_rest=unless_at_rest))

        self.turns.end(stand, self.workcell.clock.wake, client=client)
        self._stood_for = client
        stand(unless_at_rest=True)  # what acted may have moved the arm again until it ended
        released = self.lease.release(client)
        if released:
            outcome = next((words for words in outcomes if words != HOLDS), HOLDS)
            self.tell("control_released", client, f"{why}; {outcome}")
        return released

    def tell(self, kind: EventKind, client: Client, message: str = "", code: str = "") -> None:
        """Tell the audit log and the metrics what a client did."""
        is_weighty = client.scope >= Scope.OPERATE
        self.events.tell(Event(kind, message, client.name, client.address, code, is_weighty))

    def _tell_of_arm(self, event: SafetyEvent) -> None:
        """Tell what the safety layer tells; who was refused and who recovered, only this server knows."""
        is_first = event.kind == "stop" and self.stopped_s is None
        if event.kind == "recover":
            self.stopped_s = None
        elif is_first:
            self.stopped_s = time.monotonic()
        if event.kind in ("stop", "hold", "fault"):
            address = event.message.removeprefix(_ASKED_FROM) if event.message.startswith(_ASKED_FROM) else ""
            is_weighty = is_first or (event.author, address) in self._operators
            self.events.tell(Event(event.kind, event.message, event.author, address, is_weighty=is_weighty))

    def _taken(self, holder: Client, previous: Client | None) -> None:
        self.tell("control_taken", holder, f"before: {previous}" if previous not in (None, holder) else "")

    def stop(self, client: Client) -> Moment | None:
        """Stop the arm; nobody but this client, or an operator, may recover it.

        Returns:
            What has come to the arm with this stop, but for what came while the device was told.
        """
        before = self.moments.now
        self._stop_owners.add(client)
        if client.scope >= Scope.OPERATE and len(self._operators) < _OPERATORS_MAX:
            self._operators.add((client.name, client.address))
        try:
            self.workcell.robot.stop_for(f"{_ASKED_FROM}{client.address}", client.name)
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
            ConnectionFailed: the caller is gone.
        """
        # Before the owners are asked: a stop that is not counted yet has its owner by the time of the question.
        caller, robot = CURRENT_CALLER.get(None) or Caller(), self.workcell.robot
        moment = caller.moment or self.moments.now
        try:
            caller.require_present()
            with self._stop_owners.recovery(client):
                before = self.moments.note_hold()
                if isinstance(robot, SafeRobot):
                    if stops_seen is None and moment is not None:
                        stops_seen = moment.stops
                    robot.recover(stops_seen)
                else:
                    robot.recover()
        except RobotkitError as error:
            self.tell("recover_failed", client, error.message, error.code)
            raise
        self.tell("recover", client)
        return self.moments.only_a_hold_since(before, recoveries=1)

    def _make_stand(self, client: Client | None, why: str, *, unless_at_rest: bool = False) -> None:
        """Hold, or stop, and tell of whom it comes and why."""
        cause = f"{client}: {why}" if client is not None else why
        outcome = make_stand(self.workcell, cause, unless_at_rest=unless_at_rest)
        name, address = (client.name, client.address) if client is not None else ("", "")
        self.events.tell(Event("hold", why if outcome == HOLDS else f"{why}; {outcome}", name, address))

    def close(self) -> None:
        """Hear of the arm no more, and write what the audit log has not written yet."""
        self._unsubscribe()
        if self.audit is not None:
            self.audit.close()

    def shutdown_stop(self) -> None:
        """Latch a stop before the server ends, once, and let no command start any more."""
        if not self._has_ended:
            self._has_ended = True
            self.turns.close(self._stop, self.workcell.clock.wake)

    def _stop(self) -> None:
        """Stop; an arm that cannot be reached does not keep the rest from closing."""
        try:
            self.workcell.robot.stop_for("the server is shutting down", "robotkit-serve")
        except Exception as error:
            _log.warning("the arm did not take the last stop: %s", said_of(error))


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
