"""The route of the metrics, for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST

from servers.context import ContextDep
from servers.errors import reported

router = APIRouter(tags=["health"])


@router.get("/metrics", response_class=Response)
async def get_metrics(context: ContextDep) -> Response:
    """Counters of events, time that commands take, and the arm's state, in Prometheus' text format."""
    try:
        state = await context.reads.arm(at_once=True)
    except Exception as error:  # a driver's own mistake too
        reported(error)
        state = None
    text = await context.lanes.health.run(context.metrics.text, state)
    return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})
