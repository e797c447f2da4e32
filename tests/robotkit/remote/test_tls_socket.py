"""A TLS connection is read by one thread while others write: nothing is lost, and OpenSSL sees one thread at a time."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Any

import pytest

import robotkit as rk
from robotkit.remote.race import hang_up
from robotkit.remote.session import Session
from robotkit.remote.socket import open_socket
from robotkit.remote.tls_socket import TlsSocket

trustme = pytest.importorskip("trustme")
MESSAGES = 2000
LENGTH = 100
MAX_WAIT_S = 20.0


class Pair:
    """Both ends of TLS over a pair of sockets.

    Args:
        trusted: whether the client trusts the server's authority.
        version: of TLS.
    """

    def __init__(self, authority: Any, trusted: bool = True, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> None:
        self.near, self.far = socket.socketpair()
        for end in (self.near, self.far):
            end.settimeout(MAX_WAIT_S)
        self.client = ssl.create_default_context()
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.client.maximum_version = version
        if trusted:
            authority.configure_trust(self.client)
        authority.issue_cert("robot.test").configure_cert(self.server)

    def open(
        self, pool: ThreadPoolExecutor, tls: Any = None, host: str = "robot.test"
    ) -> tuple[TlsSocket, ssl.SSLSocket]:
        peer = pool.submit(self.server.wrap_socket, self.far, server_side=True)
        try:
            return TlsSocket(self.near, tls or self.client, host), peer.result(MAX_WAIT_S)
        finally:
            peer.exception(MAX_WAIT_S)


class Sparing(socket.socket):
    """A socket that takes few bytes from the network at a time, and notes its time-outs.

    Args:
        plain: the connected socket that it takes over.
        at_once: the most bytes that one call receives.
    """

    def __init__(self, plain: socket.socket, at_once: int) -> None:
        self._at_once = at_once
        self.timeouts_s: list[float | None] = []
        super().__init__(plain.family, plain.type, plain.proto, plain.detach())
        self.settimeout(MAX_WAIT_S)

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        return super().recv(min(bufsize, self._at_once), flags)

    def settimeout(self, value: float | None) -> None:
        self.timeouts_s.append(value)
        super().settimeout(value)


@pytest.fixture(scope="module")
def authority() -> Any:
    return trustme.CA()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as threads:
        yield threads


def exactly(recv: Callable[[int], bytes], count: int) -> bytes:
    data = b""
    while len(data) < count and (piece := recv(65536)):
        data += piece
    return data


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_messages_both_ways_at_once_all_arrive_in_order(
    authority: Any, pool: ThreadPoolExecutor, version: ssl.TLSVersion
) -> None:
    pair = Pair(authority, version=version)
    near, far = pair.open(pool)
    messages = [bytes([number % 251]) * LENGTH for number in range(MESSAGES)]

    def send() -> None:
        for message in messages:
            near.sendall(message)

    def echo() -> None:
        left = MESSAGES * LENGTH
        while left:
            piece = far.recv(65536)
            far.sendall(piece)
            left -= len(piece)

    def read() -> bytes:
        return exactly(near.recv, MESSAGES * LENGTH)

    sent, echoed, arrived = pool.submit(send), pool.submit(echo), pool.submit(read)
    assert arrived.result(MAX_WAIT_S) == b"".join(messages)
    sent.result(MAX_WAIT_S)
    echoed.result(MAX_WAIT_S)
    near.close()
    far.close()


class OneAtATime:
    """A context whose connection tells whether two threads were inside at once, and lets OpenSSL see only one of them.

    Args:
        tls: the context that does the work.
        patience_s: how long a write waits inside for a read to come in as well.
    """

    def __init__(self, tls: ssl.SSLContext, patience_s: float) -> None:
        self._tls, self._patience_s = tls, patience_s
        self.is_writing, self.is_read = threading.Event(), threading.Event()
        self._one = threading.Lock()
        self.saw_two = False

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, server_hostname: str | None) -> OneAtATime:
        self._state = self._tls.wrap_bio(incoming, outgoing, server_hostname=server_hostname)
        return self

    def do_handshake(self) -> None:
        self._state.do_handshake()

    def read(self, length: int) -> bytes:
        if self.is_writing.is_set():
            self.is_read.set()
        with self._one:
            return self._state.read(length)

    def write(self, data: bytes) -> int:
        self.is_writing.set()
        self.saw_two |= self.is_read.wait(self._patience_s)
        self.is_writing.clear()
        with self._one:
            return self._state.write(data)


@pytest.mark.parametrize("is_locked", [True, False])
def test_openssl_sees_one_thread_at_a_time(authority: Any, pool: ThreadPoolExecutor, is_locked: bool) -> None:
    pair = Pair(authority)
    tls = OneAtATime(pair.client, 0.05 if is_locked else MAX_WAIT_S)
    near, far = pair.open(pool, tls)
    if not is_locked:  # as with `ssl.SSLSocket`, whose state cannot be watched
        near._use = _unlocked  # type: ignore[method-assign]
    written = pool.submit(near.sendall, b"question")
    assert tls.is_writing.wait(MAX_WAIT_S)
    read = pool.submit(near.recv, 100)
    far.sendall(b"answer")
    written.result(MAX_WAIT_S)
    assert tls.saw_two is not is_locked
    assert read.result(MAX_WAIT_S) == b"answer"
    assert far.recv(100) == b"question"
    near.close()
    far.close()


def _unlocked(call: Callable[[], bytes | None]) -> bytes | None:
    try:
        return call()
    except ssl.SSLWantReadError:
        return None


@pytest.mark.parametrize("end", [TlsSocket.close, hang_up])
def test_a_read_that_waits_delays_no_write_and_ends_with_the_connection(
    authority: Any, pool: ThreadPoolExecutor, end: Callable[[TlsSocket], None]
) -> None:
    near, far = Pair(authority).open(pool)
    near.settimeout(None)
    read = pool.submit(near.recv, 100)
    for _ in range(100):
        near.sendall(b"ping")
        assert exactly(far.recv, 4) == b"ping"
    assert not read.done()
    end(near)
    assert read.exception(MAX_WAIT_S) is None or isinstance(read.exception(), OSError)
    near.close()
    far.close()


class Answering(OneAtATime):
    """A context whose connection answers by itself what it reads, as OpenSSL answers a KeyUpdate."""

    def read(self, length: int) -> bytes:
        data = super().read(length)
        self._state.write(b"updated")
        return data


def test_what_a_read_makes_openssl_write_is_sent(authority: Any, pool: ThreadPoolExecutor) -> None:
    # The module `ssl` can ask for no KeyUpdate.
    pair = Pair(authority)
    near, far = pair.open(pool, Answering(pair.client, 0.0))
    far.sendall(b"update")
    assert near.recv(100) == b"update"
    assert far.recv(100) == b"updated"
    near.close()
    far.close()


def test_what_a_read_makes_openssl_write_leaves_after_a_write_that_waits_and_delays_no_read(
    authority: Any, pool: ThreadPoolExecutor
) -> None:
    pair = Pair(authority)
    near, far = pair.open(pool, Answering(pair.client, 0.0))
    much = bytes(8 << 20)
    written = pool.submit(near.sendall, much)
    assert far.recv(1) == much[:1]
    far.sendall(b"update")
    assert near.recv(100) == b"update"
    assert not written.done()
    assert exactly(far.recv, len(much) - 1) == much[1:]
    assert exactly(far.recv, 7) == b"updated"
    written.result(MAX_WAIT_S)
    near.close()
    far.close()


def test_a_write_that_waits_delays_no_read(authority: Any, pool: ThreadPoolExecutor) -> None:
    near, far = Pair(authority).open(pool)
    much = bytes(8 << 20)
    written = pool.submit(near.sendall, much)
    for _ in range(100):
        far.sendall(b"pong")
        assert exactly(near.recv, 4) == b"pong"
    assert not written.done()
    assert len(exactly(far.recv, len(much))) == len(much)
    written.result(MAX_WAIT_S)
    near.close()
    far.close()


def test_writes_of_several_threads_each_leave_in_one_piece(authority: Any, pool: ThreadPoolExecutor) -> None:
    near, far = Pair(authority).open(pool)
    near.settimeout(2 * MAX_WAIT_S)  # who waits for another's write is told of its end, and not by the time-out
    length = 1 << 20  # more than the network takes before somebody reads
    writes = [pool.submit(near.sendall, letter * length) for letter in (b"a", b"b", b"c")]
    arrived = exactly(far.recv, 3 * length)
    for write in writes:
        write.result(MAX_WAIT_S)
    pieces = {arrived[start : start + length] for start in range(0, 3 * length, length)}
    assert pieces == {letter * length for letter in (b"a", b"b", b"c")}
    near.close()
    far.close()


def test_a_write_waits_for_another_as_long_as_the_time_out_says(authority: Any, pool: ThreadPoolExecutor) -> None:
    near, far = Pair(authority).open(pool)
    much = bytes(8 << 20)
    written = pool.submit(near.sendall, much)
    assert far.recv(1) == much[:1]
    near.settimeout(0.01)
    with pytest.raises(TimeoutError, match="earlier message"):
        near.sendall(b"more")
    assert exactly(far.recv, len(much) - 1) == much[1:]
    written.result(MAX_WAIT_S)
    near.close()
    far.close()


@pytest.mark.parametrize("at_once", [65536, 3])
def test_it_takes_one_record_from_the_network_at_a_time(authority: Any, pool: ThreadPoolExecutor, at_once: int) -> None:
    pair = Pair(authority)
    pair.near = Sparing(pair.near, at_once)
    near, far = pair.open(pool)
    messages = [bytes([number]) * number for number in range(1, 9)]
    for message in messages:
        far.sendall(message)
    assert near.recv(65536) == messages[0]  # and, before it, the tickets for a later session
    for message in messages[1:]:
        assert near.plain.recv(1, socket.MSG_PEEK) == b"\x17"  # application data: whoever waits for fileno() wakes
        assert near.recv(65536) == message
    near.close()
    far.close()


def test_a_clean_end_a_ragged_one_and_one_within_a_record_read_as_the_end(
    authority: Any, pool: ThreadPoolExecutor
) -> None:
    for end in ("clean", "ragged", "within"):
        near, far = Pair(authority).open(pool)
        far.sendall(b"last")
        assert near.recv(100) == b"last"
        if end == "clean":
            ending = pool.submit(far.unwrap)
            assert near.recv(100) == b""
            near.close()
            ending.exception(MAX_WAIT_S)
        else:
            if end == "within":
                socket.socket.send(far, b"\x17\x03\x03\x00\x40half")
            hang_up(far)
            assert near.recv(100) == near.recv(100) == b""
        near.close()
        far.close()


def test_what_is_no_tls_is_an_error_and_not_the_end(authority: Any, pool: ThreadPoolExecutor) -> None:
    near, far = Pair(authority).open(pool)
    socket.socket.send(far, b"\x17\x03\x03\x00\x20" + bytes(32))
    with pytest.raises(ssl.SSLError):
        near.recv(100)
    with pytest.raises(ssl.SSLError):  # the alert of the client
        far.recv(100)
    near.close()
    far.close()


def test_a_write_after_one_that_failed_is_refused(authority: Any, pool: ThreadPoolExecutor) -> None:
    near, far = Pair(authority).open(pool)
    near.settimeout(0.01)
    with pytest.raises(TimeoutError):
        near.sendall(bytes(8 << 20))
    with pytest.raises(ConnectionError, match="earlier message"):
        near.sendall(b"more")
    near.close()
    far.close()


@pytest.mark.parametrize(("trusted", "host"), [(False, "robot.test"), (True, "other.test")])
def test_a_certificate_is_refused_and_the_server_is_told(
    authority: Any, pool: ThreadPoolExecutor, trusted: bool, host: str
) -> None:
    pair = Pair(authority, trusted, ssl.TLSVersion.TLSv1_2)
    peer = pool.submit(pair.server.wrap_socket, pair.far, server_side=True)
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate verify failed"):
        TlsSocket(pair.near, pair.client, host)
    assert pair.near.fileno() == -1
    with pytest.raises(ssl.SSLError, match="alert"):
        peer.result(MAX_WAIT_S)


def test_a_server_that_says_nothing_or_no_tls_or_leaves_opens_nothing(authority: Any) -> None:
    for said, error in ((None, TimeoutError), (b"HTTP/1.1 400 Bad Request\r\n", ssl.SSLError), (b"", ssl.SSLError)):
        pair = Pair(authority)
        pair.near.settimeout(0.05 if said is None else MAX_WAIT_S)
        if said is not None:
            pair.far.sendall(said)
            pair.far.shutdown(socket.SHUT_WR)
        with pytest.raises(error):
            TlsSocket(pair.near, pair.client, "robot.test")
        assert pair.near.fileno() == -1
        pair.far.close()


def test_the_time_for_the_handshake_is_that_of_all_its_waits_together(authority: Any, pool: ThreadPoolExecutor) -> None:
    pair = Pair(authority)
    pair.near = plain = Sparing(pair.near, 20)
    near, far = pair.open(pool)
    *waits_s, after_s = plain.timeouts_s
    limits_s = [limit_s for limit_s in waits_s if limit_s is not None]
    assert len(limits_s) == len(waits_s) > 10
    assert limits_s == sorted(limits_s, reverse=True)
    assert limits_s[-1] < MAX_WAIT_S
    assert after_s == MAX_WAIT_S
    near.close()
    far.close()


def test_a_server_that_takes_a_connection_and_is_silent_is_given_up_in_time(authority: Any) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        closing(Session(f"https://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.1)) as session,
        ExitStack() as opened,
        pytest.raises(rk.RemoteTimeout, match="did not open /v1/steps in time"),
    ):
        open_socket(session, "/v1/steps", opened)
