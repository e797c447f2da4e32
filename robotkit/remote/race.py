"""`first_of`: attempts over sockets, several at a time in one thread; the first that succeeds ends the others."""

from __future__ import annotations

import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from errno import EINPROGRESS, EWOULDBLOCK
from typing import Any, Generic, NamedTuple, TypeVar

from robotkit.remote.tls_socket import TlsSocket

T = TypeVar("T")

FilelessSelector = getattr(selectors, "PollSelector", selectors.SelectSelector)
"""Waits also where this process has as many files open as it may: epoll, the default, is a file itself."""
Wait = tuple[socket.socket, int]
"""A socket, and `selectors.EVENT_READ` or `EVENT_WRITE`."""
Attempt = Generator[Wait, None, T]
"""Yields what it waits for, returns its result, or raises `OSError`; closed before that, it closes its socket."""


class Entry(NamedTuple, Generic[T]):
    """An attempt of a race, and when it begins."""

    after_s: float
    """How many seconds after the one before; while none is under way it begins at once."""
    where: object
    """Address of the attempt: after an answer from there that is not good, no further one begins there."""
    attempt: Attempt[T]


def first_of(entries: Iterable[Entry[T]], end_s: float, rank: Callable[[T], int] = lambda result: 0) -> T:
    """Return the first good result, whose rank is 0.

    It takes no lock and needs no other thread: a signal handler may interrupt it at any line, and do the same.

    Args:
        entries: the attempts in their order.
        end_s: when there is no time left, in monotonic seconds.
        rank: of a result; where none is good, the first of the lowest rank is returned when no attempt is under way
            any more and none begins.

    Raises:
        TimeoutError: there was no result in time.
        OSError: every attempt failed, the last one like this.
    """
    race = _Race(entries, rank)
    try:
        return race.run(end_s)
    finally:
        race.end()


class _Race(Generic[T]):
    def __init__(self, entries: Iterable[Entry[T]], rank: Callable[[T], int]) -> None:
        self._coming = deque(entries)
        self._rank = rank
        self._begun_s = time.monotonic()
        self._under_way: dict[Entry[T], Wait] = {}
        self._is_won = False
        self._results: list[T] = []
        self._refused: set[object] = set()
        """Addresses at which no further attempt begins."""
        self._error: OSError | None = None

    def run(self, end_s: float) -> T:
        while not self._is_won and (self._under_way or any(entry.where not in self._refused for entry in self._coming)):
            now_s = time.monotonic()
            if now_s >= end_s:
                raise TimeoutError("the time for the whole request is over")
            next_s = self._begun_s + self._coming[0].after_s if self._coming else end_s
            if self._coming and (now_s >= next_s or not self._under_way):
                self._begun_s = now_s
                self._begin(self._coming.popleft())
            else:
                for entry in self._ready(min(next_s, end_s) - now_s):
                    self._advance(entry)
        if not self._results:
            raise self._error or OSError("there is no address to try")
        return min(self._results, key=self._rank)

    def _begin(self, entry: Entry[T]) -> None:
        if entry.where not in self._refused:
            self._advance(entry)

    def _advance(self, entry: Entry[T]) -> None:
        self._under_way.pop(entry, None)
        try:
            self._under_way[entry] = next(entry.attempt)
        except StopIteration as ended:
            self._results.append(ended.value)
            self._refused.add(entry.where)
            self._is_won |= self._rank(ended.value) == 0
        except OSError as error:
            self._error = error

    def _ready(self, timeout_s: float) -> list[Entry[T]]:
        with FilelessSelector() as selector:
            for entry, (peer, events) in self._under_way.items():
                selector.register(peer, events, entry)
            return [key.data for key, _ in selector.select(timeout_s)]

    def end(self) -> None:
        for entry in self._under_way:
            entry.attempt.close()


def connected(family: int, address: tuple[Any, ...]) -> Attempt[socket.socket]:
    """Connect to one address; the socket does not block."""
    peer = socket.socket(family, socket.SOCK_STREAM)
    try:
        peer.setblocking(False)
        code = peer.connect_ex(address)
        if code in (EINPROGRESS, EWOULDBLOCK):
            yield peer, selectors.EVENT_WRITE
            code = peer.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        peer.close()
        raise
    return peer


def hang_up(peer: socket.socket | TlsSocket) -> None:
    """End a connection at once: whoever waits on it wakes, in whatever thread; nothing is waited for."""
    # Not that of `ssl.SSLSocket`, which takes its state away from a thread that is about to use it.
    with suppress(OSError):  # a peer that is gone already
        socket.socket.shutdown(peer.plain if isinstance(peer, TlsSocket) else peer, socket.SHUT_RDWR)
