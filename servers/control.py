"""`Control`: who commands the cell: one client at a time, one command after the other, for as long as it is there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Histogram

from robotkit.devices.machine import ASKED_AT, Moment
from robotkit.errors import CommandRejected, ConnectionFailed, Forbidden
from robotkit.safety import SafeRobot
from robotkit.workcell import Workcell
from servers.access import Client, Scope
from servers.arrivals import Arrivals, Departure
from servers.connections import Peer
from servers.errors import endings_as_faults, reported
from servers.lanes import Lanes
from servers.lease import ControlLease
from servers.seen import Moments, OwnHolds
from servers.standing import HOLDS, make_stand, may_move
from servers.telling import Teller
from servers.turns import CURRENT_CALLER, Caller, Turns
from servers.versions import require_spoken

GONE = "its connection is closed"


class Control:
    """Commands of clients to one cell.

    Args:
        workcell: the cell.
        lanes: the threads.
        moments: what has come to the arm.
        teller: hears of refusals, holds and changes of control.
        command_s: measures how long commands take.
        timeout_s: after this long without a command another client may take control.
    """

    def __init__(
        self, workcell: Workcell, lanes: Lanes, moments: Moments, teller: Teller, command_s: Histogram, timeout_s: float
    ) -> None:
        self._workcell, self._lanes, self._moments, self._teller = workcell, lanes, moments, teller
        self._command_s = command_s
        self.lease = ControlLease(timeout_s, on_taken=teller.tell_taken)
        self.turns = Turns()
        self._commander: Client | None = None
        self._stood_for: Client | None = None
        """Client whose control has ended with an arm that was made to stand, and who has commanded nothing since."""
        self.arrivals = Arrivals()
        self._tasks: set[asyncio.Task[bool]] = set()

    @contextmanager
    def acquire(
        self,
        client: Client,
        is_motion: bool = False,
        deadline_s: float | None = None,
        moment: Moment | None = None,
        commands_arm: bool = True,
    ) -> Iterator[Workcell]:
        """Hold the control lease, one command after the other, for as long as the caller waits for the answer.

        When another client commanded before, the arm holds first: its target is none that this client knows. A command
        that waits while a stop, a recovery or a hold that a client asks for comes is not carried out; but of one for
        the gripper alone a stop that is still latched refuses nothing.

        Args:
            client: who commands.
            is_motion: True for a command that returns when the arm has arrived; no other command waits behind it.
            deadline_s: it does not start later, in monotonic seconds; None: as the caller's request says.
            moment: what had come to the arm when it was asked for; None: as the caller says, else now.
            commands_arm: False for a command of the gripper alone, or of nothing.

        Raises:
            Forbidden: the client's token does not allow to command.
            ProtocolError: the client speaks a version of the protocol that this server does not.
            ControlHeld: another client commands this cell.
            Busy: a blocking motion runs, or too many commands of this client wait.
            CommandExpired: its deadline passed before it could start.
            RobotStopped: a stop came since it was asked for, or the server is shutting down.
            TargetReplaced: a stop that is recovered, a recovery or a hold came since it was asked for.
            ConnectionFailed: the caller is gone.
            DeviceFault: the command raised what would end this program, such as SystemExit.
        """
        has_begun = False
        try:
            client.require(Scope.COMMAND, "a command")
            caller = CURRENT_CALLER.get(None) or Caller()
            moment = moment or caller.moment or self._moments.now
            require_spoken(caller.protocol)
            with self.lease.control(client) as begin, self.turns.turn(client, caller, is_motion, deadline_s):
                caller.require_present()
                self._moments.require_nothing_since(moment, commands_arm)
                caller.client = client
                is_down = self._is_down()
                begin(is_down)
                if not is_down:
                    self._take_over(client, moment, commands_arm)
                has_begun = True
                token, begun_s = ASKED_AT.set(moment), time.perf_counter()
                begun, target = self.arrivals.begun, self._target()
                if commands_arm:
                    self.arrivals.begin()
                try:
                    with endings_as_faults():
                        yield self._workcell
                finally:
                    if target is not None and target == self._target():
                        self.arrivals.begun = begun
                    ASKED_AT.reset(token)
                    self._command_s.observe(time.perf_counter() - begun_s)
                    if not is_down:
                        self._stood_for = None  # a release that did not wait for this command's end
                if is_down:  # it was for the gripper, and the arm stands
                    self._become_commander(client)
        except (CommandRejected, Forbidden, ConnectionFailed) as error:
            if not (has_begun and isinstance(error, ConnectionFailed)):
                self._teller.tell_refused(client, error)
            raise

    def _is_down(self) -> bool:
        """True when the arm takes no commands, and so no client's can be under way."""
        robot = self._workcell.robot
        return isinstance(robot, SafeRobot) and robot.machine.mode in ("stopped", "fault")

    def _target(self) -> tuple[int, int] | None:
        """The counts of the arm's target, other ones whenever it gets another; None where this server cannot tell."""
        robot = self._workcell.robot
        return (robot.machine.targets, robot.machine.epoch) if isinstance(robot, SafeRobot) else None

    def _take_over(self, client: Client, moment: Moment | None, commands_arm: bool) -> None:
        """Make the arm stand where another client commanded before; its target is none that this one knows."""
        if self._commander not in (None, client, self._stood_for):
            self._make_stand(client, f"it takes over from {self._commander}", unless_at_rest=True)
            self._moments.require_nothing_since(moment, commands_arm)
        self._become_commander(client)

    def _become_commander(self, client: Client) -> None:
        self._commander, self._stood_for = client, None

    def hold_now(self, client: Client) -> OwnHolds | None:
        """Hold, without waiting for a turn: this also ends a blocking motion of the client.

        Returns:
            The client's holds that end with it.

        Raises:
            Forbidden: the client's token does not allow to command.
            ControlHeld: another client commands this cell.
        """
        try:
            client.require(Scope.COMMAND, "a hold")
            with self.lease.control(client) as begin:
                begin(self._is_down())
                holds = self._moments.note_hold_of(client)
                with endings_as_faults():
                    self._workcell.robot.hold()
            self._teller.tell("hold", client, "it asked for it")
            return holds
        except (CommandRejected, Forbidden) as error:
            self._teller.tell_refused(client, error)
            raise
        except Exception as error:
            failure = reported(error)
            self._teller.tell("hold", client, f"it asked for it; the arm did not hold: {failure.message}", failure.code)
            raise

    def stop_unheld(self, client: Client, after_s: float) -> None:
        """Stop an arm that may move and has not held after so long, though its client asked for it."""
        if self.lease.holder in (None, client) and may_move(self._workcell.robot):
            words = f"the arm did not hold within {after_s:g} s"
            self._teller.tell("hold", client, f"it asked for it; {words}; it is stopped")
            self._workcell.robot.stop_for(f"{words} ({client}: it asked for it)", "robotkit-serve")

    async def leave(self, caller: Caller) -> None:
        """Drop what a caller that is gone has asked for; from now on none of it starts, whatever is busy."""
        caller.is_gone = True
        await self._lanes.gone.run(self.drop, caller)

    def drop(self, caller: Caller) -> None:
        """Forget the commands of a caller that is gone, and hold when one of them acts."""

        def brake() -> None:
            self._make_stand(caller.client, "it is gone, and its command was under way")

        self.turns.end(brake, self._workcell.clock.wake, caller)

    def connection_lost(self, connection: Peer) -> None:
        """Let the client go that is gone with `connection`, as `Arrivals` says; called on the event loop."""
        departure = self.arrivals.lost(connection)
        if departure is not None and not connection.was_dismissed and self.lease.holder == departure.client:
            task = asyncio.get_running_loop().create_task(self.release_departed(departure))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def release_departed(self, departure: Departure | None) -> bool:
        """End the control of a client that is gone, unless it is back by then; True when it had control."""
        return departure is not None and await self._lanes.gone.run(self.release, departure.client, GONE, departure)

    def release(self, client: Client, why: str = "it gave control back", departure: Departure | None = None) -> bool:
        """End a client's control: the robot holds where it is; True when the client had control.

        Its commands of before end, and a later one acts after the robot holds. A client that is back keeps control and
        its commands; the robot holds all the same, unless one of these has given it another target.

        Args:
            client: whose control.
            why: it ends.
            departure: no control ends once the client is back from it; None: it asked for the end itself.
        """
        if self.lease.holder != client:
            return False
        outcomes: list[str] = []

        def stand(unless_at_rest: bool = False) -> None:
            outcomes.append(make_stand(self._workcell, f"{client}: {why}", unless_at_rest=unless_at_rest))

        def is_here() -> bool:
            return departure is not None and self.arrivals.is_back(departure)

        released = False
        with self.turns.ended(client, lambda: not is_here(), stand, self._workcell.clock.wake):
            if self.lease.holder != client:
                pass  # another one has it, for whom the arm was made to stand
            elif departure is not None and is_here():
                if not self.arrivals.commands_arm(departure) and may_move(self._workcell.robot):
                    stand(unless_at_rest=True)
            else:
                self._stood_for = client
                stand(unless_at_rest=True)  # what acted may have moved the arm again until it ended
                released = self.lease.release(client, unless=is_here)
        outcome = next((words for words in outcomes if words != HOLDS), HOLDS)
        if released:
            self._teller.tell("control_released", client, f"{why}; {outcome}")
        elif outcomes:  # it came back meanwhile
            self._teller.tell_hold(client, why if outcome == HOLDS else f"{why}; {outcome}")
        return released

    def _make_stand(self, client: Client | None, why: str, *, unless_at_rest: bool = False) -> None:
        cause = f"{client}: {why}" if client is not None else why
        outcome = make_stand(self._workcell, cause, unless_at_rest=unless_at_rest)
        self._teller.tell_hold(client, why if outcome == HOLDS else f"{why}; {outcome}")
