"""The table from exceptions to `{code, message}` and an HTTP status."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import TypeAdapter, ValidationError
from starlette.exceptions import HTTPException
from starlette.status import HTTP_400_BAD_REQUEST, HTTP_404_NOT_FOUND
from starlette.types import Receive, Scope, Send

from robotkit.aside import aside_logger
from robotkit.devices.words import said_of
from robotkit.errors import (
    CommandRejected,
    ConfigurationError,
    DeviceError,
    DeviceFault,
    Forbidden,
    InvalidCommand,
    ProtocolError,
    RemoteError,
    RemoteTimeout,
    RobotkitError,
    Unauthorized,
    UnknownPlugin,
    Unsupported,
)
from robotkit.schema import Message
from robotkit.schema.wire import ErrorReply

MessageT = TypeVar("MessageT", bound=Message)

_log = aside_logger(__name__)

T = TypeVar("T")

MESSAGE_MAX = 4000
"""Characters of an answer's sentence, which quotes what was asked."""
_ERRORS_MAX = 8
"""Fields that one refusal names; a body of 64 KiB can have thousands that are wrong."""
_ERRORS_LISTED = 100
"""Largest number of errors of which an answer names any; with more it names none: to list thousands keeps every other
thread waiting for milliseconds."""

_LOGGED_MAX = 256

STATUS: Mapping[type[RobotkitError], int] = {
    InvalidCommand: 422,
    Unsupported: 501,
    CommandRejected: 409,
    DeviceError: 503,
    Unauthorized: 401,
    Forbidden: 403,
    RemoteTimeout: 504,
    RemoteError: 502,
    UnknownPlugin: 404,
    ConfigurationError: 400,
    RobotkitError: 500,
}
"""The nearest ancestor counts."""


def status_of(error: RobotkitError) -> int:
    """HTTP status of an error: the entry of its nearest ancestor in `STATUS`."""
    return next(STATUS[cls] for cls in type(error).__mro__ if cls in STATUS)


def error_response(
    error: RobotkitError, status: int | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """The answer that carries `error` to the client."""
    body = ErrorReply(code=error.code, message=error.message[:MESSAGE_MAX]).model_dump_json()
    given = {"WWW-Authenticate": "Bearer"} if isinstance(error, Unauthorized) else headers
    return Response(body, status or status_of(error), given, media_type="application/json")


_logged: dict[tuple[object, ...], None] = {}
"""Types and places of the errors whose traceback is in the log."""


def reported(error: Exception) -> RobotkitError:
    """`error` as a client hears of it; one that is not robotkit's is logged, the first of a line with a traceback."""
    if isinstance(error, RobotkitError):
        return error
    key = (type(error), *((frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)[-1:]))
    if key not in _logged and len(_logged) < _LOGGED_MAX:
        _logged[key] = None
        _log.error("the server failed; from now on this is logged no more", exc_info=error)
    return RobotkitError(f"the server failed: {said_of(error)}")


@contextmanager
def endings_as_faults() -> Iterator[None]:
    """Let what would end this program or a task of it, such as SystemExit, be a fault of the driver that raises it.

    Raises:
        DeviceFault: in place of it.
    """
    try:
        yield
    except Exception:
        raise
    except BaseException as error:
        raise DeviceFault(f"a driver raised what ends a program: {said_of(error)}") from error


def describe_errors(errors: Sequence[Any]) -> InvalidCommand:
    """Name the fields that do not validate."""
    named = "; ".join(f"{_place(item['loc'])}: {item['msg']}" for item in errors[:_ERRORS_MAX])
    more = len(errors) - _ERRORS_MAX
    return InvalidCommand(named + (f"; and {more} more" if more > 0 else ""))


def parse(adapter: TypeAdapter[T], content: bytes | str) -> T:
    """The validated message that a client sent.

    Raises:
        InvalidCommand: it does not validate.
    """
    try:
        return adapter.validate_json(content)
    except ValidationError as error:
        if error.error_count() > _ERRORS_LISTED:
            raise InvalidCommand(f"{error.error_count()} fields do not validate") from None
        raise describe_errors(error.errors(include_url=False, include_context=False)) from error
    except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
        # A validator of ours that meets what no JSON number should be, such as an integer of 400 digits.
        raise InvalidCommand(f"the message cannot be read: {error}") from error


def validated(model: type[MessageT], fields: Mapping[str, Any]) -> MessageT:
    """A message from its fields.

    Raises:
        InvalidCommand: they do not validate; every field is named.
    """
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise describe_errors(error.errors()) from error


async def nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    """The answer to a request without a route, a websocket's handshake too."""
    method = scope.get("method", "WEBSOCKET")
    error = ProtocolError(f"{method} {scope['path']}: Not Found; GET /openapi.json lists what there is")
    await error_response(error, HTTP_404_NOT_FOUND)(scope, receive, send)


def add_error_handlers(app: FastAPI) -> None:
    """Answer every failure of `app` in one form."""
    app.router.default = nothing_here

    @app.exception_handler(RobotkitError)
    async def _ours(request: Request, error: RobotkitError) -> Response:
        return error_response(error)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        return error_response(describe_errors(error.errors()))

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        message = f"{request.method} {request.url.path}: {error.detail}; GET /openapi.json lists what there is"
        if error.status_code == HTTP_400_BAD_REQUEST:
            # FastAPI's answer to a body that is no JSON; everything else that cannot be understood is a 422.
            return error_response(InvalidCommand(message))
        return error_response(ProtocolError(message), error.status_code)

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> Response:
        return error_response(reported(error))


def _place(location: tuple[int | str, ...]) -> str:
    parts = [str(part) for part in location if part not in ("body", "query", "path")]
    return ".".join(parts) or "body"
