"""Runs an app on a socket, in this thread or in a separate one."""

from __future__ import annotations

import asyncio
import errno
import functools
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

import uvicorn
from fastapi import FastAPI

from robotkit.aside import aside_logger
from robotkit.errors import ConnectionFailed, InvalidConfiguration
from servers.access import Client
from servers.app import STOP_WAIT_S
from servers.context import ServerContext
from servers.ending import end_within, prepare_to_end
from servers.gate import MAX_BODY_BYTES
from servers.protocols import BoundedHttpProtocol, BoundedSocketProtocol, TlsEntrance
from servers.settings import ServerSettings

_log = aside_logger(__name__)

ENDING_SIGNALS: tuple[int, ...] = (
    signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF,
    signal.SIGXCPU, signal.SIGIO, signal.SIGPWR, signal.SIGSTKFLT, *range(signal.SIGRTMIN, signal.SIGRTMAX + 1),
)  # fmt: skip
"""Signals from outside that end a process which does not take them; each of them first stops the arm."""
PASSED_OVER = (signal.SIGUSR1, signal.SIGUSR2)
"""Signals that are passed over: they too would end the process, and ask for nothing that this one does: rotating logs
often sends the first."""
TERMINAL_SIGNALS = (signal.SIGTTIN, signal.SIGTTOU)
"""Signals of a terminal that are ignored: they would suspend a process in its background, with every watch over the
arm.

A handler does not do: what is written to the terminal would be tried again, and bring the signal again, without end.
"""
_TERMINAL = Client("terminal", "robotkit-serve", "the server's terminal (Ctrl+Z)")
_IDLE_CONNECTION_S = 75
_GRACE_S = 1
_PING_S = 5.0
"""A websocket whose peer does not answer a ping for this long is closed."""
_BACKLOG = 128
_LOOPBACK_OF = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Where a server that listens on every address is reached on this machine."""


def bind(host: str, port: int) -> socket.socket:
    """A listening socket, so that a port in use is known before any device is touched.

    Clients that connect from now on wait until the server answers.

    Raises:
        InvalidConfiguration: the port is taken or the address is not this machine's; the message says what to do.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise InvalidConfiguration(f"cannot listen on {host!r}: {error.strerror}") from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(_BACKLOG)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise InvalidConfiguration(
                f"port {port} on {host} is in use: stop the program that has it (perhaps another robotkit-serve), "
                "or choose another with --port"
            ) from error
        raise InvalidConfiguration(f"cannot listen on {host} port {port}: {error.strerror}") from error
    return bound


def url_of(bound: socket.socket, settings: ServerSettings) -> str:
    """The address that a client on this machine uses."""
    host, port = bound.getsockname()[:2]
    host = _LOOPBACK_OF.get(host, host)
    scheme = "http" if settings.tls_cert is None else "https"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


class CellServer(uvicorn.Server):
    """A uvicorn server that stops the arm before it says goodbye to its clients.

    Args:
        app: made by `create_app`.
        exit_s: seconds after a signal in which the process ends at the latest, whatever hangs; None: when all is done.
    """

    def __init__(self, app: FastAPI, exit_s: float | None = None) -> None:
        settings: ServerSettings = app.state.context.settings
        super().__init__(
            uvicorn.Config(
                app,
                ssl_certfile=settings.tls_cert,
                ssl_keyfile=settings.tls_key,
                # Its lines go the way of all others of this process, see `servers.log`.
                log_config=None,
                # uvloop reads before a handshake can begin, see `TlsEntrance`.
                loop="auto" if settings.tls_cert is None else "asyncio",
                # Its warnings are about requests that are none: whoever sends them would fill the log.
                log_level="error",
                access_log=False,
                http=BoundedHttpProtocol,
                ws=BoundedSocketProtocol,
                # Whoever is on this machine could otherwise name any address as its own.
                proxy_headers=False,
                ws_per_message_deflate=False,
                ws_ping_interval=_PING_S,
                ws_ping_timeout=_PING_S,
                ws_max_size=MAX_BODY_BYTES,
                backlog=_BACKLOG,
                timeout_keep_alive=_IDLE_CONNECTION_S,
                timeout_graceful_shutdown=_GRACE_S,
            )
        )
        self._context: ServerContext = app.state.context
        self._exit_s = exit_s
        if exit_s is not None:
            prepare_to_end()
        self._stops: set[asyncio.Task[None]] = set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Let no command start from now on, and shut down."""
        is_first = not self.should_exit
        super().handle_exit(sig, frame)
        # A second Ctrl+C would otherwise leave the devices connected.
        self.force_exit = False
        self._context.turns.is_closed = True
        if is_first and self._exit_s is not None:
            end_within(self._exit_s)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Shut down in order on every signal of `ENDING_SIGNALS`, of which uvicorn knows two; Ctrl+Z stops the arm."""
        loop = asyncio.get_running_loop()
        with super().capture_signals():
            before = take_signals(self.handle_exit)
            before |= take_signals(
                lambda number, frame: loop.call_soon_threadsafe(self._stop_from_terminal), (signal.SIGTSTP,)
            )
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

    def _stop_from_terminal(self) -> None:
        """Stop the arm where a person suspends the server: it stands, and the server goes on to watch it."""
        _log.error("Ctrl+Z stops the arm, and does not suspend the server, which watches it; Ctrl+C ends it")
        stop = functools.partial(self._context.stop, _TERMINAL)
        work = self._context.lanes.stop.within(STOP_WAIT_S, "the stop of Ctrl+Z", stop)
        task = asyncio.get_running_loop().create_task(work)
        self._stops.add(task)
        task.add_done_callback(self._stops.discard)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Let connections in, each of them counted from its first moment."""
        if self.config.ssl is not None:
            context, self.config.ssl = self.config.ssl, None
            self.config.http_protocol_class = functools.partial(TlsEntrance, context)  # type: ignore[assignment]
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop the arm, then let requests finish, then disconnect."""
        # First: a motion that a request waits for would otherwise go on for as long as the grace lasts.
        await self._context.lanes.shutdown.within(STOP_WAIT_S, "the stop at the end", self._context.shutdown_stop)
        await super().shutdown(sockets)


def take_signals(
    handler: Callable[[int, FrameType | None], object], numbers: Iterable[int] = ENDING_SIGNALS
) -> dict[int, Any]:
    """Let `handler` take what ends this process, or these signals, and return what did so before.

    What the process ignores (nohup) stays ignored; outside the main thread all signals stay as they are.
    """
    if threading.current_thread() is not threading.main_thread():
        return {}
    for number in PASSED_OVER:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _pass_over)
    for number in TERMINAL_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    before = {number: signal.getsignal(number) for number in numbers}
    return {number: signal.signal(number, handler) for number in before if before[number] is not signal.SIG_IGN}


def _pass_over(number: int, frame: FrameType | None) -> None:
    """Do nothing on a signal.

    It is not ignored as the system understands it: a program that is started from here would inherit that.
    """


class BackgroundServer:
    """A real server on a real socket, in a thread of this process.

    For notebooks and tests: `with BackgroundServer(create_app(cell)) as server: remote_workcell(server.url)`.
    """

    def __init__(self, app: FastAPI) -> None:
        settings: ServerSettings = app.state.context.settings
        self._socket = bind(settings.host, settings.port)
        self._server = CellServer(app)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)
        self.url = url_of(self._socket, settings)

    def start(self, timeout_s: float = 20.0) -> Self:
        """Return when requests are answered.

        Raises:
            ConnectionFailed: the server did not come up, and listens no more; the log says why.
        """
        self._thread.start()
        deadline = threading.Event()
        for _ in range(int(timeout_s / 0.005)):
            if self._server.started:
                return self
            if not self._thread.is_alive():
                break
            deadline.wait(0.005)
        self._server.should_exit = True
        if not self._thread.is_alive():
            self._socket.close()
        raise ConnectionFailed(f"the server at {self.url} did not start; its log says why")

    def stop(self) -> None:
        """Shut down gracefully: the arm holds, the devices are disconnected."""
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()
