"""`add_document`: the OpenAPI description of an app, made once and away from the event loop."""

from __future__ import annotations

import json
from functools import cache

from fastapi import FastAPI
from fastapi.responses import Response

from servers.context import ContextDep
from servers.routes.replies import BODY_SCHEMAS


def add_document(app: FastAPI) -> None:
    """Serve the description of `app` at /openapi.json."""

    @cache
    def document() -> bytes:
        content = app.openapi()
        # Routes that parse their own bodies refer to messages that FastAPI has not seen.
        content["components"]["schemas"] |= BODY_SCHEMAS
        return json.dumps(content).encode()

    @app.get("/openapi.json", include_in_schema=False)
    async def _openapi(context: ContextDep) -> Response:
        return Response(await context.lanes.health.run(document), media_type="application/json")
