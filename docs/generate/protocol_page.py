"""The page of the wire protocol: routes and messages from the server's OpenAPI description, websockets and headers."""

from __future__ import annotations

import ast
import inspect
import itertools
from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter

from robotkit.factory import make_workcell
from robotkit.schema import wire
from servers.app import create_app
from servers.openapi import describe
from servers.routes import stream

_REFERENCE = "#/components/schemas/"
_STREAMED = (wire.NumberedStep, wire.StreamCommand, wire.StreamAck, wire.StreamState, wire.StreamError)
_WEBSOCKETS = {"/v1/stream": stream.stream, "/v1/steps": stream.steps}
_LEAD = """Version {newest} of the protocol. A server serves the same description at `/openapi.json`, where the messages
of a step or a target are complete with bounds and examples.

Reads are `GET`, actions are `POST`, bodies are JSON. A refusal is an [`ErrorReply`](#errorreply) whose code is that of
an error class of `robotkit.errors`, with a status between 400 and 504. Lengths are metres, angles radians, quaternions
xyzw."""


def pages() -> dict[str, str]:
    """Markdown by path."""
    app = create_app(make_workcell("fake"))
    document = describe(app)
    schemas: dict[str, Any] = dict(document["components"]["schemas"])
    for message in _STREAMED:
        schema = TypeAdapter(message).json_schema(ref_template=_REFERENCE + "{model}")
        schemas |= schema.pop("$defs", {}) | {message.__name__: schema}
    lines = ["# Wire protocol", "", _LEAD.format(newest=wire.PROTOCOL_NEWEST), "", *_headers()]
    for tag, routes in itertools.groupby(sorted(_routes(document), key=lambda route: route[0]), lambda route: route[0]):
        lines += [f"## Routes: {tag}", "", "| route | takes | gives | about |", "|---|---|---|---|"]
        lines += [row for _, row in routes] + [""]
    lines += ["## Websockets", ""]
    for path, function in _WEBSOCKETS.items():
        lines += [f"### `{path}`", "", inspect.cleandoc(function.__doc__ or ""), ""]
    names = ", ".join(f"[`{message.__name__}`](#{message.__name__.lower()})" for message in _STREAMED)
    lines += [f"Their messages: {names}.", "", "## Messages", ""]
    for name in sorted(schemas):
        lines += _message(name, schemas[name])
    return {"reference/wire_protocol.md": "\n".join(lines) + "\n"}


def _headers() -> list[str]:
    """The headers' names are constants of `robotkit.schema.wire`, each with a text under it."""
    rows = []
    for statement, text in itertools.pairwise(ast.parse(inspect.getsource(wire)).body):
        if not (isinstance(statement, ast.Assign) and isinstance(text, ast.Expr)):
            continue
        target = statement.targets[0]
        if isinstance(target, ast.Name) and target.id.endswith("_HEADER") and isinstance(text.value, ast.Constant):
            rows.append(f"| `{getattr(wire, target.id)}` | {_cell(str(text.value.value))} |")
    return ["## Headers", "", "| header | about |", "|---|---|", *rows, ""]


def _routes(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Tag and row of every route."""
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            body = route.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
            given = [f"`{one['name']}`" for one in route.get("parameters", []) if one["in"] == "query"]
            taken = ([_type(body)] if body else []) + given
            about = _cell(route.get("description", ""))
            yield route["tags"][0], f"| `{method.upper()} {path}` | {', '.join(taken)} | {_answer(route)} | {about} |"


def _answer(route: dict[str, Any]) -> str:
    content = route["responses"].get("200", {}).get("content", {})
    return ", ".join(_type(kind.get("schema", {})) if "json" in form else f"`{form}`" for form, kind in content.items())


def _type(schema: dict[str, Any]) -> str:
    """A schema in a few words, with a link where it has a name."""
    if "$ref" in schema or ("properties" in schema and "title" in schema):
        name = schema.get("$ref", "").removeprefix(_REFERENCE) or schema["title"]
        return f"[`{name}`](#{name.lower()})" if "$ref" in schema else f"`{name}`: {_fields(schema)}"
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return " or ".join(_type(choice) for choice in choices)
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value!r}`" for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        low, high = schema.get("minItems"), schema.get("maxItems")
        return f"{low if low == high and low else 'list'} of {_type(schema.get('items', {}))}"
    return str(schema.get("type", "any"))


def _fields(schema: dict[str, Any]) -> str:
    required = schema.get("required", ())
    return ", ".join(f"`{name}`" if name in required else f"`{name}`?" for name in schema["properties"])


def _message(name: str, schema: dict[str, Any]) -> list[str]:
    lines = [f"### {name}", "", inspect.cleandoc(schema.get("description", "")), ""]
    if "properties" not in schema:
        return [*lines, _type(schema), ""]
    lines += ["| field | type | default |", "|---|---|---|"]
    for field, about in schema["properties"].items():
        default = "required" if field in schema.get("required", ()) else f"`{about.get('default')}`"
        lines.append(f"| `{field}` | {_type(about)} | {default} |")
    return [*lines, ""]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "&#124;")
