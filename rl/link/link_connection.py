"""LinkConnection: the actor's connection to its learner on an asyncio loop; it reconnects when it breaks."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus, WebSocketException

from rl.errors import LinkProtocolError, LinkUnauthorized, LinkUnavailable, RlError, SchemaMismatch
from rl.link.frames import MAX_FRAME_BYTES, Weights
from rl.link.messages import (
    NOTHING_STORED,
    PROTOCOL,
    Ack,
    Handshake,
    HandshakeReply,
    Heartbeat,
    LinkMessage,
    OldReject,
    Reject,
    parse_learner_message,
)
from rl.link.state import ClientSettings, LinkState

logger = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
_REJECTS_IN_A_ROW = 5


class _Rejected(Exception):
    """The learner closed the connection with this error."""

    def __init__(self, error: RlError) -> None:
        self.error = error


class LinkConnection:
    """Keeps an actor connected to its learner until it is stopped.

    Args:
        settings: where the learner is, and the time limits.
        handshake: name and spaces of this actor.
        state: shared with the actor's loop.
    """

    def __init__(self, settings: ClientSettings, handshake: Handshake, state: LinkState) -> None:
        self._settings = settings
        self._handshake = handshake
        self._state = state
        self._loop: asyncio.AbstractEventLoop | None = None
        self._work = asyncio.Event()
        self._stop = asyncio.Event()
        self._is_awake = False

    def wake(self) -> None:
        """Send what is queued. From any thread."""
        if not self._is_awake:
            self._is_awake = True
            self._call(self._work.set)

    def stop(self) -> None:
        """Close the connection. From any thread."""
        self._call(self._stop.set)

    async def run(self) -> None:
        """Exchange messages until `stop`, over as many connections as it takes.

        Raises:
            LinkUnavailable: no learner answered for `give_up_s`.
            LinkUnauthorized: the token is missing or wrong.
            SchemaMismatch: the learner trains another environment or other spaces.
            LinkProtocolError: actor and learner have different protocols, or one broke it.
        """
        self._loop = asyncio.get_running_loop()
        run = asyncio.create_task(self._reconnect())
        stop = asyncio.create_task(self._stop.wait())
        done, pending = await asyncio.wait([run, stop], return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        if run in done:
            run.result()

    def _call(self, function: object) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended: there is nothing left to wake
                self._loop.call_soon_threadsafe(function)  # type: ignore[arg-type]

    async def _reconnect(self) -> None:
        pause_s, rejects, connected_s, acknowledged = _FIRST_PAUSE_S, 0, time.monotonic(), NOTHING_STORED
        while True:
            connections, problem = self._state.connections, "the connection ended"
            try:
                await self._run()
            except _Rejected as reject:
                rejects = rejects + 1 if self._acknowledged() == acknowledged else 1
                acknowledged = self._acknowledged()
                if isinstance(reject.error, SchemaMismatch) or rejects >= _REJECTS_IN_A_ROW:
                    raise reject.error from None
                problem = str(reject.error)
            except InvalidStatus as error:
                if error.response.status_code in (401, 403):
                    raise LinkUnauthorized(
                        f"{self._settings.url} refuses this actor: the token is missing or wrong"
                    ) from error
                problem = str(error)
            except (OSError, TimeoutError, WebSocketException, InvalidHandshake) as error:
                problem = str(error) or type(error).__name__
            if self._state.connections > connections:
                pause_s, connected_s, self._state.last_problem = _FIRST_PAUSE_S, time.monotonic(), ""
            self._note(problem, connected_s + self._settings.give_up_s - time.monotonic())
            if time.monotonic() - connected_s > self._settings.give_up_s:
                raise LinkUnavailable(
                    f"the learner at {self._settings.url} has been away for {self._settings.give_up_s:g} s; "
                    f"{len(self._state.outbox)} transitions are not stored. Last try: {self._state.last_problem}"
                )
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _run(self) -> None:
        """Run one connection, from the handshake to its end."""
        headers = {"Authorization": f"Bearer {self._settings.token}"} if self._settings.token else {}
        async with connect(
            self._settings.url,
            additional_headers=headers,
            compression=None,
            max_size=MAX_FRAME_BYTES,
            open_timeout=5.0,
            ping_interval=5.0,
            ping_timeout=20.0,
            close_timeout=1.0,
            proxy=None,
        ) as socket:
            await self._shake_hands(socket)
            tasks = [
                asyncio.create_task(work)
                for work in (self._receive(socket), self._send_queued(socket), self._send_heartbeats(socket))
            ]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            # A reject explains why the sending task found a closed socket: it comes first.
            for outcome in sorted(outcomes, key=lambda outcome: not isinstance(outcome, _Rejected)):
                if isinstance(outcome, Exception):
                    raise outcome

    async def _shake_hands(self, socket: ClientConnection) -> None:
        await self._send(socket, self._handshake)
        reply = _parse(await asyncio.wait_for(socket.recv(), 30.0))
        if isinstance(reply, Reject):
            raise _Rejected(_error_of(reply))
        if not isinstance(reply, HandshakeReply):
            raise LinkProtocolError(f"the learner's first message must be a handshake reply, not {reply.kind}")
        self._state.outbox.rewind(reply.last_sequence)
        self._state.env_steps = reply.env_steps  # first: who waits for the reply reads it at once
        self._state.handshake_reply = self._state.handshake_reply or reply
        self._state.connections += 1
        self._state.announce()

    async def _receive(self, socket: ClientConnection) -> None:
        async for frame in socket:
            if isinstance(frame, bytes):
                self._state.weights = Weights.from_bytes(frame)
            else:
                self._on_message(_parse(frame))
            self._state.announce()
        raise ConnectionError("the learner closed the connection")

    def _on_message(self, message: HandshakeReply | Ack | Reject) -> None:
        if isinstance(message, Reject):
            raise _Rejected(_error_of(message))
        if not isinstance(message, Ack):
            raise LinkProtocolError("a second handshake reply on one connection")
        self._state.outbox.acknowledge(message.last_sequence)
        self._state.sequence_limit = message.sequence_limit
        self._state.env_steps = message.env_steps
        self._state.is_finished = message.is_finished
        if len(self._state.outbox):
            self._work.set()  # the window may have opened again

    async def _send_queued(self, socket: ClientConnection) -> None:
        while True:
            self._is_awake = False
            while chunk := self._state.outbox.take(self._settings.max_chunk):
                await socket.send(chunk.to_bytes())
            while self._state.reports:
                await self._send(socket, self._state.reports[0])
                self._state.reports.popleft()
            self._state.announce()
            await self._work.wait()
            self._work.clear()
            await asyncio.sleep(self._settings.linger_s)

    async def _send_heartbeats(self, socket: ClientConnection) -> None:
        while True:
            state = self._state
            beat = Heartbeat(
                weights_version=state.applied_version,
                backlog=len(state.outbox),
                dropped=state.outbox.dropped,
                waiting_for=state.waiting_for,
            )
            await self._send(socket, beat)
            await asyncio.sleep(self._settings.heartbeat_s)

    async def _send(self, socket: ClientConnection, message: LinkMessage) -> None:
        await socket.send(message.model_dump_json(exclude_none=True))

    def _acknowledged(self) -> int:
        return self._state.outbox.next_sequence - len(self._state.outbox)

    def _note(self, problem: str, left_s: float) -> None:
        """Warn of a new problem, once there has been a learner; until then `LearnerLink` says what it waits for."""
        if self._state.connections and problem != self._state.last_problem:
            until = time.strftime("%H:%M:%S", time.localtime(time.time() + left_s))
            logger.warning(
                "no learner at %s: %s. Trying again until %s (link.give_up_s); what it has not stored is kept so long. "
                "If it has ended, its output says why: start it again with --resume, or end this actor with Ctrl+C",
                *(self._settings.url, problem, until),
            )
        self._state.last_problem = problem


def _parse(frame: str | bytes) -> HandshakeReply | Ack | Reject:
    if isinstance(frame, bytes):
        raise LinkProtocolError("the learner sent a binary frame where a JSON message was expected")
    message = parse_learner_message(frame)
    if isinstance(message, OldReject):
        raise LinkProtocolError(f"the learner has protocol 1 of the link, this actor {PROTOCOL}: update the learner")
    return message


def _error_of(reject: Reject) -> RlError:
    for kind in (SchemaMismatch, LinkUnauthorized, LinkUnavailable):
        if kind.code == reject.code:
            return kind(reject.message)
    return LinkProtocolError(reject.message)
