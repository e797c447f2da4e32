"""`answered_alone`: a web request that shares no connection, no lock and no thread with others."""

from __future__ import annotations

import selectors
import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import h11

from robotkit.remote.answer import Answer, answer_of
from robotkit.remote.dial import Address, Dialer
from robotkit.remote.race import Attempt, Entry, connected, first_of

T = TypeVar("T")

DONE = 204
"""The status of a robot server's answer to an action that is done, and has none."""
_AGAIN_AFTER_S = (0.3, 0.6, 1.2, 2.4)
"""When the request is sent again over new connections while nobody answers, in seconds after the time before."""
_ANSWER_BYTES_MAX = 65536
"""Largest answer: what is sent like this has no long one."""


def answered_alone(dialer: Dialer, tls: ssl.SSLContext | None, host: str, request: h11.Request, end_s: float) -> Answer:
    """Send a request without a body over separate connections, repeatedly until a server answers.

    It goes to every address of the server at once, and no more to one that has answered: only what may be carried out
    several times is sent like this. Only a signed 204 ends the sending; where nobody gives one, the answer counts that
    is likeliest a robot server's.

    Args:
        dialer: knows the server's addresses.
        tls: how its certificate is checked; None for one without TLS.
        host: its name, as the certificate has it.
        request: with all its headers.
        end_s: when there is no time left, in monotonic seconds.

    Raises:
        OSError: nobody answers.
        TimeoutError: nobody did in time.
    """
    addresses = dialer.addresses(end_s)
    entries = [
        Entry(0.0 if later else after_s, address, _answered(address, tls, host, request))
        for after_s in (0.0, *_AGAIN_AFTER_S)
        for later, address in enumerate(addresses)
    ]
    return first_of(entries, end_s, _rank)


def _rank(answer: Answer) -> int:
    return (0 if answer.status == DONE else 1) if answer.is_signed else 2


def _answered(address: Address, tls: ssl.SSLContext | None, host: str, request: h11.Request) -> Attempt[Answer]:
    peer = yield from connected(*address)
    try:
        if tls is not None:
            peer = tls.wrap_socket(peer, server_hostname=host, do_handshake_on_connect=False)
            yield from _done(peer, peer.do_handshake, selectors.EVENT_READ)
        protocol = h11.Connection(h11.CLIENT)
        unsent = protocol.send(request) + protocol.send(h11.EndOfMessage())
        while unsent:
            unsent = unsent[(yield from _done(peer, partial(peer.send, unsent), selectors.EVENT_WRITE)) :]
        return (yield from _answer(peer, protocol))
    finally:
        peer.close()


def _answer(peer: socket.socket, protocol: h11.Connection) -> Attempt[Answer]:
    head: h11.Response | None = None
    body = b""
    while True:
        try:
            event = protocol.next_event()
            if event is h11.NEED_DATA:
                piece = yield from _done(peer, partial(peer.recv, 65536), selectors.EVENT_READ)
                if not piece and head is None:
                    raise ConnectionError("Server disconnected without sending a response.")
                protocol.receive_data(piece)
        except h11.RemoteProtocolError as error:
            raise ConnectionError(str(error)) from error
        if isinstance(event, h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        if head is not None and (isinstance(event, h11.EndOfMessage) or len(body) > _ANSWER_BYTES_MAX):
            return answer_of(head.status_code, head.headers, body)


def _done(peer: socket.socket, call: Callable[[], T], events: int) -> Attempt[T]:
    """Return what `call` does once it need not wait."""
    while True:
        try:
            return call()
        except ssl.SSLWantReadError:
            yield peer, selectors.EVENT_READ
        except ssl.SSLWantWriteError:
            yield peer, selectors.EVENT_WRITE
        except BlockingIOError:
            yield peer, events
