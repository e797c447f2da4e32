"""The answers of routes: messages are sent without a second validation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi.responses import Response
from pydantic import TypeAdapter

from robotkit.schema import Message

BODY_SCHEMAS: dict[str, Any] = {}
"""Messages that the bodies of `request_body` refer to, by name, for the document."""
_REFERENCE = "#/components/schemas/{model}"


def reply(message: Message) -> Response:
    """`message` as JSON, straight from pydantic's serialiser."""
    return Response(message.model_dump_json(), media_type="application/json")


def done(headers: Mapping[str, str] | None = None) -> Response:
    """Success without a body."""
    return Response(status_code=204, headers=headers)


def answers(model: type[Message], description: str) -> dict[str, Any]:
    """Route options that document a reply of type `model`."""
    return {"responses": {200: {"model": model, "description": description}}}


def request_body(body: Any, examples: dict[str, Any]) -> dict[str, Any]:
    """`openapi_extra` of a route that parses its own body."""
    schema = TypeAdapter(body).json_schema(ref_template=_REFERENCE)
    BODY_SCHEMAS.update(schema.pop("$defs", {}))
    content = {"application/json": {"schema": schema, "examples": examples}}
    return {"requestBody": {"required": True, "content": content}}


DONE: dict[str, Any] = {"status_code": 204, "response_class": Response}
"""Route options of an action without a body in its answer."""
