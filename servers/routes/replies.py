"""How routes answer: messages go out as they are, without a second validation."""

from __future__ import annotations

from typing import Any

from fastapi.responses import Response

from robotkit.schema import Message


def reply(message: Message) -> Response:
    """`message` as JSON, straight from pydantic's serialiser."""
    return Response(message.model_dump_json(), media_type="application/json")


def done() -> Response:
    """Success without a body."""
    return Response(status_code=204)


def answers(model: type[Message], description: str) -> dict[str, Any]:
    """Route options that document a reply of type `model`."""
    return {"responses": {200: {"model": model, "description": description}}}


def request_body(model: type[Message], examples: dict[str, Any]) -> dict[str, Any]:
    """`openapi_extra` of a route that parses its own body."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    # What it refers to is in the document already: other routes have the same messages as parameters.
    schema.pop("$defs", None)
    content = {"application/json": {"schema": schema, "examples": examples}}
    return {"requestBody": {"required": True, "content": content}}


DONE: dict[str, Any] = {"status_code": 204, "response_class": Response}
"""Route options of an action without a body in its answer."""
