"""`hold` and `recover`: what a client waits for until the driver returns, but no longer than it can be of use."""

from __future__ import annotations

import asyncio
from threading import Lock

from robotkit.devices.machine import Moment
from robotkit.errors import MotionFailed, RemoteTimeout
from servers.access import Client
from servers.context import ServerContext
from servers.seen import OwnHolds

HOLD_S = 0.5
"""How long a hold may take on a clock that runs by itself; then an arm that may move is stopped."""
STOP_S = 1.0
"""How long the answer to a hold waits for the driver to take that stop, which is latched at once."""
RECOVER_S = 2.5
"""How long a recovery is waited for: the operator's page and a client wait little longer for the answer."""


async def hold(context: ServerContext, client: Client) -> OwnHolds | None:
    """`Control.hold_now`, in its lane; the time of one that waits for another of its client counts from its beginning.

    Raises:
        MotionFailed: it has not returned in time; an arm that may move is stopped.
        RobotkitError: as `hold_now` does.
    """
    lane, work = context.lanes.holds, context.control.hold_now
    holding, is_late = lane.join(work, client), False
    while not (context.workcell.clock.is_lockstep or holding.done() or is_late):
        await asyncio.wait([holding], timeout=HOLD_S - lane.running_for_s(work, client))
        is_late = lane.running_for_s(work, client) >= HOLD_S
    if is_late and not holding.done():
        await asyncio.wait([context.lanes.gone.join(context.control.stop_unheld, client, HOLD_S)], timeout=STOP_S)
        raise MotionFailed(
            f"the hold has not been confirmed within {HOLD_S:g} s. An arm that may move is being stopped: read its "
            "state, and use the hardware stop where it does not say that the arm is stopped or holding"
        )
    return await asyncio.shield(holding)


async def recover(context: ServerContext, client: Client, stops_seen: int | None) -> Moment | None:
    """`ServerContext.recover`, in its lane; one that has not begun in time never begins.

    Raises:
        RemoteTimeout: it has not returned in time.
        RobotkitError: as `ServerContext.recover` does.
    """
    recovery = _Recovery(context, client, stops_seen)
    recovering = asyncio.create_task(context.lanes.recover.run(recovery.run))
    recovering.add_done_callback(lambda ended: None if ended.cancelled() else ended.exception())
    limit_s = None if context.workcell.clock.is_lockstep else RECOVER_S
    if (await asyncio.wait([recovering], timeout=limit_s))[0]:
        return recovering.result()
    if recovery.is_withdrawn():
        words = "other recoveries do not return, and it is not carried out any more"
    else:
        words = "the arm's driver still works at it, and the arm takes commands once it succeeds: read its state"
    raise RemoteTimeout(f"the recovery has not been confirmed within {RECOVER_S:g} s: {words}")


class _Recovery:
    """A recovery that either has begun or is withdrawn; one that hangs keeps its thread of the lane."""

    def __init__(self, context: ServerContext, client: Client, stops_seen: int | None) -> None:
        self._context, self._client, self._stops_seen = context, client, stops_seen
        self._deciding = Lock()
        self._has_begun = self._is_withdrawn = False

    def run(self) -> Moment | None:
        with self._deciding:
            if self._is_withdrawn:
                return None
            self._has_begun = True
        return self._context.recover(self._client, self._stops_seen)

    def is_withdrawn(self) -> bool:
        """Withdraw it, if it has not begun."""
        with self._deciding:
            self._is_withdrawn = not self._has_begun
            return self._is_withdrawn
