"""The route of the cell's health."""

from __future__ import annotations

import time

from fastapi import APIRouter
from fastapi.responses import Response

from robotkit.devices import BaseRobotServer
from robotkit.safety import SafeRobot
from robotkit.schema import RobotMode, RobotState, StopRecord
from robotkit.schema.robot import MOVES_ON
from robotkit.schema.wire import Health
from servers.context import ContextDep, ServerContext
from servers.errors import reported
from servers.routes.replies import answers, reply

HALT_OWED = "the arm's device has not taken the stop and is told again: it may still move; use the emergency stop"

router = APIRouter(prefix="/v1", tags=["health"])


@router.get("/health", **answers(Health, "Also answers 200 when the robot is in a fault: the server itself is well."))
async def get_health(context: ContextDep) -> Response:
    """The state of server and robot in one glance."""
    robot = context.workcell.robot
    stops = robot.machine.stops if isinstance(robot, SafeRobot) else None  # before what it says of a stop is known
    try:
        found: RobotState | Exception = await context.reads.arm(at_once=True)
    except Exception as error:  # a driver's own mistake is a fault too
        found = error
    return reply(await context.lanes.health.run(_health, context, found, stops))


def _health(context: ServerContext, found: RobotState | Exception, stops: int | None) -> Health:
    robot = context.workcell.robot
    mode, problems, stop = _diagnose(robot, found)
    holder = context.lease.holder
    return Health(
        status=mode if mode in ("stopped", "fault") else "ok",
        cell=context.workcell.name,
        clock="lockstep" if context.workcell.clock.is_lockstep else "real",
        robot_mode=mode,
        problems=problems,
        stop=stop,
        stopped_for_s=None if stop is None else _stopped_for_s(context, stop),
        controlled_by=str(holder) if holder else None,
        controlled_for_s=context.lease.held_for_s,
        uptime_s=time.monotonic() - context.started_s,
        serl_clear_requests=context.serl_clear_requests,
        target_epoch=robot.target_epoch if isinstance(robot, SafeRobot) else None,
        # Of the state, else an older number would tell the stop in it as a second one.
        stops=stops if stops is None or isinstance(found, Exception) else found.stops,
    )


def _stopped_for_s(context: ServerContext, stop: StopRecord) -> float:
    """Return how long the stop has lasted, on the cell's clock.

    The clock of this server counts when that says more, for the one of a cell in lock-step may stand still.
    """
    on_cell_s, stopped_s = context.workcell.clock.now_s() - stop.since_s, context.teller.stopped_s
    return on_cell_s if stopped_s is None else max(on_cell_s, time.monotonic() - stopped_s)


def _diagnose(
    robot: BaseRobotServer, state: RobotState | Exception
) -> tuple[RobotMode, tuple[str, ...], StopRecord | None]:
    if isinstance(state, Exception):
        failure = reported(state)
        # What is latched is known without a measurement.
        stop = robot.machine.stop if isinstance(robot, SafeRobot) else None
        return "fault" if stop is None else "stopped", (f"{failure.code}: {failure.message}",), stop
    problems: tuple[str, ...] = (HALT_OWED,) if state.is_halt_owed else ()
    problems += (MOVES_ON,) if state.moves_on else ()
    if state.mode == "stopped":
        problems += ("a stop is latched; POST /v1/robot/recover when the cell is clear",)
        return "stopped", problems, state.stop
    return state.mode, problems + state.faults, state.stop
