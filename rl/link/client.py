"""LearnerLink: the actor's end of the link; the control loop touches memory only, a thread sends and receives."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from rl.errors import LinkUnavailable, RlError
from rl.link.frames import Weights
from rl.link.link_connection import LinkConnection
from rl.link.messages import Handshake, HandshakeReply, Report
from rl.link.outbox import Outbox
from rl.link.state import ClientSettings, LinkState
from rl.utils.subprocesses import Stop

logger = logging.getLogger(__name__)

_REPORTS_KEPT = 1000
_SOON_S = 3.0
_POLL_TIMEOUT_S = 0.2  # the longest wait between two checks of the stop signal
_T = TypeVar("_T")


class LearnerLink:
    """An actor's view of its learner. Use it as a context; entering waits for the learner's handshake.

    Every method may raise the error that ended the link: `LinkUnavailable`, `LinkUnauthorized`,
    `SchemaMismatch` or `LinkProtocolError`. A lost connection is no error: the link reconnects, and sends again what
    was not acknowledged.

    Args:
        settings: where the learner is, and the time limits.
        handshake: name and spaces of this actor.
        connect_timeout_s: how long entering waits for the learner.
        stop: ends that wait; None lets it last.
    """

    def __init__(
        self,
        settings: ClientSettings,
        handshake: Handshake,
        connect_timeout_s: float = 60.0,
        stop: Stop | None = None,
    ) -> None:
        self._settings = settings
        self._connect_timeout_s = connect_timeout_s
        self._stop = stop
        self._state = LinkState(Outbox(settings.capacity, settings.overflow), deque(maxlen=_REPORTS_KEPT))
        self._connection = LinkConnection(settings, handshake, self._state)
        self._thread = threading.Thread(target=self._run, name="link", daemon=True)
        self._waited_s, self._reported_s = 0.0, time.monotonic()

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            if not self._is_connected():
                if self._is_stopped():
                    raise LinkUnavailable(f"stopped while waiting for the learner at {self._settings.url}")
                raise LinkUnavailable(
                    f"no learner answers at {self._settings.url} within {self._connect_timeout_s:g} s. Is it running? "
                    f"Last try: {self._state.last_problem or 'no answer'}"
                )
        except RlError:
            self.close(flush_s=0.0)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def handshake_reply(self) -> HandshakeReply:
        """The learner's first answer."""
        self._check()
        assert self._state.handshake_reply is not None
        return self._state.handshake_reply

    @property
    def env_steps(self) -> int:
        """Transitions of all actors as far as this actor knows, with its own unacknowledged ones."""
        return self._state.env_steps + len(self._state.outbox)

    @property
    def is_finished(self) -> bool:
        """True when the learner has ended the training."""
        self._check()
        return self._state.is_finished

    @property
    def dropped(self) -> int:
        """The number of transitions that had to be dropped."""
        return self._state.outbox.dropped

    @property
    def reconnects(self) -> int:
        """The number of times that the connection was made again."""
        return max(0, self._state.connections - 1)

    def send(self, transition: Mapping[str, Any]) -> None:
        """Queue one transition: a nested dict of arrays without leading axis, to which nobody writes from now on."""
        self._check()
        self._state.outbox.put(transition)
        self._connection.wake()

    def tear(self) -> None:
        """The next transition does not continue the last one, which ends its trajectory as a truncation does."""
        self._state.outbox.tear()

    def set_waiting_for(self, reason: str | None) -> None:
        """Set what this actor waits for in the learner's status; None when it waits for nothing."""
        self._state.waiting_for = reason

    def report(self, topic: Literal["episode", "evaluation"], values: Mapping[str, float]) -> None:
        """Queue figures for the learner's log, those of an episode with the share of its time that was waited."""
        version, told = self._state.applied_version, dict(values)
        if topic == "episode":
            told["waited_share"] = self._take_waited_share()
        self._state.reports.append(Report(topic=topic, weights_version=version, values=told))
        self._connection.wake()

    def may_step(self, timeout_s: float) -> bool:
        """Wait until the learner allows one more step; False when it has not by then, or when the training is over."""
        state = self._state
        if state.may_step() and state.failure is None:
            return True
        begin_s = time.monotonic()
        may_go_on = self._wait(lambda: state.may_step() or state.is_finished, timeout_s)
        self._waited_s += time.monotonic() - begin_s
        return may_go_on and not state.is_finished

    def take_weights(self) -> Weights | None:
        """The newest weights if they were not taken yet."""
        weights, self._state.weights = self._state.weights, None
        if weights is not None:
            self._state.applied_version = weights.version
        return weights

    def wait_for_weights(self, timeout_s: float) -> Weights | None:
        """Take weights as `take_weights` does, but wait for them."""
        self._wait(lambda: self._state.weights is not None or self._state.is_finished, timeout_s)
        return self.take_weights()

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything is acknowledged; False when it is not by then."""
        return self._wait(lambda: not len(self._state.outbox) and not self._state.reports, timeout_s)

    def close(self, flush_s: float = 5.0) -> None:
        """Send what is queued, for `flush_s` at most, and close the connection."""
        if flush_s and self._state.failure is None:
            deadline_s = time.monotonic() + flush_s
            while not self._state.is_flushed() and self._state.failure is None and time.monotonic() < deadline_s:
                time.sleep(0.01)
        self._state.outbox.close()
        self._connection.stop()
        self._thread.join(10.0)

    def _take_waited_share(self) -> float:
        """The share of the time since the last episode's report in which no step was allowed."""
        now_s = time.monotonic()
        passed_s, waited_s = now_s - self._reported_s, self._waited_s
        self._waited_s, self._reported_s = 0.0, now_s
        return waited_s / passed_s if passed_s > 0 else 0.0

    def _is_connected(self) -> bool:
        """Wait for the learner's reply, with a warning when it takes long."""
        begun_s, is_warned = time.monotonic(), False
        while True:
            left_s = begun_s + self._connect_timeout_s - time.monotonic()
            if self._wait(lambda: self._state.handshake_reply is not None, min(max(left_s, 0.0), _POLL_TIMEOUT_S)):
                return True
            if left_s <= 0.0 or self._is_stopped():
                return False
            if not is_warned and self._connect_timeout_s - left_s >= _SOON_S:
                is_warned = True
                logger.warning(
                    "no learner at %s yet: %s. Waiting %.0f s more (link.connect_timeout_s); start it, or end this "
                    "actor with Ctrl+C",
                    *(self._settings.url, self._state.last_problem or "no answer", left_s),
                )

    def _is_stopped(self) -> bool:
        return self._stop is not None and self._stop.is_set()

    def _run(self) -> None:
        try:
            asyncio.run(self._connection.run())
        except RlError as error:
            self._state.fail(error)

    def _check(self) -> None:
        if self._state.failure is not None:
            raise self._state.failure

    def _wait(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        with self._state.changed:
            self._state.changed.wait_for(lambda: condition() or self._state.failure is not None, timeout_s)
            self._check()
            return condition()
