"""Dialogue: the actor's side of the conversation on an asyncio loop, reconnecting as often as it must."""

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
    Heartbeat,
    Hello,
    LinkMessage,
    Receipt,
    Refusal,
    Welcome,
    parse_learner_message,
)
from rl.link.state import ClientSettings, LinkState

logger = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
_REFUSALS_IN_A_ROW = 5


class _Refused(Exception):
    """The learner closed the connection with this error."""

    def __init__(self, error: RlError) -> None:
        self.error = error


class Dialogue:
    """Keeps a conversation with the learner going until it is stopped.

    Args:
        settings: where the learner is, and how patient to be.
        hello: who this actor is.
        state: what is shared with the actor's loop.
    """

    def __init__(self, settings: ClientSettings, hello: Hello, state: LinkState) -> None:
        self._settings = settings
        self._hello = hello
        self._state = state
        self._loop: asyncio.AbstractEventLoop | None = None
        self._work = asyncio.Event()
        self._stop = asyncio.Event()
        self._is_awake = False

    def wake(self) -> None:
        """There is something to send. From any thread."""
        if not self._is_awake:
            self._is_awake = True
            self._call(self._work.set)

    def stop(self) -> None:
        """Hang up. From any thread."""
        self._call(self._stop.set)

    async def run(self) -> None:
        """Talk until `stop`, over as many connections as it takes.

        Raises:
            LinkUnavailable: nobody answered for `give_up_s`.
            LinkUnauthorized: the token is missing or wrong.
            SchemaMismatch: the learner trains another environment or other spaces.
            LinkProtocolError: the learner does not understand this actor.
        """
        self._loop = asyncio.get_running_loop()
        talk = asyncio.create_task(self._talk_for_ever())
        stop = asyncio.create_task(self._stop.wait())
        done, pending = await asyncio.wait([talk, stop], return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        if talk in done:
            talk.result()

    def _call(self, function: object) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended: there is nothing left to wake
                self._loop.call_soon_threadsafe(function)  # type: ignore[arg-type]

    async def _talk_for_ever(self) -> None:
        pause_s, refusals, heard_s, acknowledged = _FIRST_PAUSE_S, 0, time.monotonic(), NOTHING_STORED
        while True:
            connections, problem = self._state.connections, "the connection ended"
            try:
                await self._talk()
            except _Refused as refusal:
                refusals = refusals + 1 if self._acknowledged() == acknowledged else 1
                acknowledged = self._acknowledged()
                if isinstance(refusal.error, SchemaMismatch) or refusals >= _REFUSALS_IN_A_ROW:
                    raise refusal.error from None
                problem = str(refusal.error)
            except InvalidStatus as error:
                if error.response.status_code in (401, 403):
                    raise LinkUnauthorized(
                        f"{self._settings.url} refuses this actor: the token is missing or wrong"
                    ) from error
                problem = str(error)
            except (OSError, TimeoutError, WebSocketException, InvalidHandshake) as error:
                problem = str(error) or type(error).__name__
            if self._state.connections > connections:
                pause_s, heard_s, self._state.last_problem = _FIRST_PAUSE_S, time.monotonic(), ""
            self._note(problem, heard_s + self._settings.give_up_s - time.monotonic())
            if time.monotonic() - heard_s > self._settings.give_up_s:
                raise LinkUnavailable(
                    f"the learner at {self._settings.url} has been away for {self._settings.give_up_s:g} s; "
                    f"{len(self._state.outbox)} transitions are not stored. Last try: {self._state.last_problem}"
                )
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _talk(self) -> None:
        """One connection, from hello to its end."""
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
            await self._greet(socket)
            tasks = [
                asyncio.create_task(work) for work in (self._listen(socket), self._pump(socket), self._beat(socket))
            ]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            # A refusal explains why the sending task met a closed socket: it comes first.
            for outcome in sorted(outcomes, key=lambda outcome: not isinstance(outcome, _Refused)):
                if isinstance(outcome, Exception):
                    raise outcome

    async def _greet(self, socket: ClientConnection) -> None:
        await self._say(socket, self._hello)
        welcome = _understood(await asyncio.wait_for(socket.recv(), 30.0))
        if isinstance(welcome, Refusal):
            raise _Refused(_error_of(welcome))
        if not isinstance(welcome, Welcome):
            raise LinkProtocolError("the learner did not answer the hello with a welcome")
        self._state.outbox.rewind(welcome.last_sequence)
        self._state.welcome = self._state.welcome or welcome
        self._state.env_steps = welcome.env_steps
        self._state.connections += 1
        self._state.announce()

    async def _listen(self, socket: ClientConnection) -> None:
        async for frame in socket:
            if isinstance(frame, bytes):
                self._state.weights = Weights.from_bytes(frame)
            else:
                self._hear(_understood(frame))
            self._state.announce()
        raise ConnectionError("the learner closed the connection")

    def _hear(self, message: Welcome | Receipt | Refusal) -> None:
        if isinstance(message, Refusal):
            raise _Refused(_error_of(message))
        if not isinstance(message, Receipt):
            raise LinkProtocolError("a second welcome on one connection")
        self._state.outbox.acknowledge(message.last_sequence)
        self._state.sequence_limit = message.sequence_limit
        self._state.env_steps = message.env_steps
        self._state.is_finished = message.is_finished
        if len(self._state.outbox):
            self._work.set()  # the window may have opened again

    async def _pump(self, socket: ClientConnection) -> None:
        while True:
            self._is_awake = False
            while chunk := self._state.outbox.take(self._settings.max_chunk):
                await socket.send(chunk.to_bytes())
            while self._state.reports:
                await self._say(socket, self._state.reports[0])
                self._state.reports.popleft()
            self._state.announce()
            await self._work.wait()
            self._work.clear()
            await asyncio.sleep(self._settings.linger_s)

    async def _beat(self, socket: ClientConnection) -> None:
        while True:
            state = self._state
            beat = Heartbeat(
                weights_version=state.applied_version,
                backlog=len(state.outbox),
                dropped=state.outbox.dropped,
                waiting_for=state.waiting_for,
            )
            await self._say(socket, beat)
            await asyncio.sleep(self._settings.heartbeat_s)

    async def _say(self, socket: ClientConnection, message: LinkMessage) -> None:
        await socket.send(message.model_dump_json(exclude_none=True))

    def _acknowledged(self) -> int:
        return self._state.outbox.next_sequence - len(self._state.outbox)

    def _note(self, problem: str, patience_s: float) -> None:
        """Warn of a new problem, once there has been a learner; until then `LearnerLink` says what it waits for."""
        if self._state.connections and problem != self._state.last_problem:
            until = time.strftime("%H:%M:%S", time.localtime(time.time() + patience_s))
            logger.warning(
                "no learner at %s: %s. Trying again until %s (link.give_up_s); what it has not stored is kept so long. "
                "If it has ended, its output says why: start it again with --resume, or end this actor with Ctrl+C",
                *(self._settings.url, problem, until),
            )
        self._state.last_problem = problem


def _understood(frame: str | bytes) -> Welcome | Receipt | Refusal:
    if isinstance(frame, bytes):
        raise LinkProtocolError("the learner sent a binary frame where words were expected")
    return parse_learner_message(frame)


def _error_of(refusal: Refusal) -> RlError:
    for kind in (SchemaMismatch, LinkUnauthorized, LinkUnavailable):
        if kind.code == refusal.code:
            return kind(refusal.message)
    return LinkProtocolError(refusal.message)
