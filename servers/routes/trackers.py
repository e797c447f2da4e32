"""Poses of tracked objects."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from robotkit.errors import UnknownPlugin
from robotkit.schema import TrackedPose
from robotkit.workcell import Workcell
from servers.context import ContextDep
from servers.routes.actions import measure
from servers.routes.replies import answers

router = APIRouter(prefix="/v1/trackers", tags=["trackers"])


@router.get("/{name}", **answers(TrackedPose, "The newest pose."))
async def get_pose(context: ContextDep, name: str) -> Response:
    """The newest pose of one object."""
    return await measure(context, lambda cell: _pose(cell, name))


def _pose(cell: Workcell, name: str) -> TrackedPose:
    if name not in cell.trackers:
        raise UnknownPlugin(f"this cell has no tracker {name!r}. Known: {', '.join(cell.trackers) or 'none'}")
    return cell.trackers[name].get_pose()
