"""The OpenAPI description of an app: `describe` makes it, `add_document` serves it."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from fastapi import FastAPI
from fastapi.responses import Response

from servers.context import ContextDep
from servers.routes.replies import BODY_SCHEMAS


def describe(app: FastAPI) -> dict[str, Any]:
    """The description of `app`, with the messages that its routes take and give."""
    content = app.openapi()
    # Routes that parse their own bodies refer to messages that FastAPI has not seen.
    content["components"]["schemas"] |= BODY_SCHEMAS
    return content


def add_document(app: FastAPI) -> None:
    """Serve the description of `app` at /openapi.json, made once and away from the event loop."""

    @cache
    def document() -> bytes:
        return json.dumps(describe(app)).encode()

    @app.get("/openapi.json", include_in_schema=False)
    async def _openapi(context: ContextDep) -> Response:
        return Response(await context.lanes.health.run(document), media_type="application/json")
