"""The routes of the poses of tracked objects."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from robotkit.errors import UnknownPlugin
from robotkit.schema import TrackedPose
from servers.context import ContextDep
from servers.routes.replies import answers, reply

router = APIRouter(prefix="/v1/trackers", tags=["trackers"])


@router.get("/{name}", **answers(TrackedPose, "The newest pose."))
async def get_pose(context: ContextDep, name: str) -> Response:
    """The newest pose of one object."""
    trackers = context.workcell.trackers
    if name not in trackers:
        raise UnknownPlugin(f"this cell has no tracker {name!r}. Known: {', '.join(trackers) or 'none'}")
    return reply(await context.reads.device(f"tracker {name!r}", trackers[name].get_pose))
