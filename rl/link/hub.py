"""LearnerHub: the state that the learner's thread shares with the connections of its actors."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rl.data.journal import TransitionJournal, gap_info
from rl.data.pruning import Rows
from rl.data.schema import TransitionSchema, extra_field
from rl.errors import LinkProtocolError, RlError, SchemaMismatch
from rl.link.frames import Chunk, Weights, merge
from rl.link.messages import (
    NOTHING_STORED,
    PROTOCOL,
    Ack,
    AgentSpec,
    Handshake,
    HandshakeReply,
    Heartbeat,
    Report,
    base_difference,
    build_space,
)

_REPORTS_KEPT = 10_000


@dataclass
class ActorRecord:
    """The learner's record of one attempt of an actor."""

    actor: str
    attempt: str
    role: str
    last_sequence: int
    connections: int = 0
    newest: int = 0
    """Number of its newest connection; older ones are closed."""
    is_superseded: bool = False
    """True once a newer attempt of the same actor has come: two programs under one name would mix their episodes."""
    last_message_s: float = field(default_factory=time.monotonic)
    """Monotonic time of its last message."""
    heartbeat: Heartbeat | None = None
    lag: int | None = None
    """Updates between the weights that the actor acts with and the newest ones, at its last heartbeat."""

    @property
    def actor_id(self) -> str:
        """Key in the journal."""
        return f"{self.actor}/{self.attempt}"


class LearnerHub:
    """Connects the learner with its actors; any thread may call it, `register` and `store` one at a time.

    All transitions go through the journal: a chunk is stored there, then acknowledged, and the learner reads its replay
    from there, live and after a restart by the same call. So a kill at any moment neither loses nor doubles any.

    Args:
        journal: where transitions are stored.
        env: id of the environment that is trained.
        spec: required of the actors; None takes it from the first actor, so that a learner never touches a robot.
    """

    def __init__(self, journal: TransitionJournal, env: str, spec: AgentSpec | None = None) -> None:
        self._journal = journal
        self._env = env
        self._spec = spec
        self._schema = _schema(spec) if spec else None
        self._records: dict[str, ActorRecord] = {}
        self._stored = len(journal)
        self._limit = 0
        self._finished = False
        self._failure: RlError | None = None
        self._weights: tuple[int, bytes] | None = None
        self._reports: deque[tuple[str, Report]] = deque(maxlen=_REPORTS_KEPT)
        self._listeners: list[Callable[[], object]] = []
        self._changed = threading.Condition()
        self.progress: Any = None
        """A dataclass that the learner adds to the status."""

    @property
    def env_steps(self) -> int:
        """Transitions of all actors on disk."""
        return self._stored

    def wait_for_spec(self, timeout_s: float) -> AgentSpec | None:
        """The spec of the first actor, or None when none has come in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._spec is not None, timeout_s)
            return self._spec

    def wait_for_data(self, env_steps: int, timeout_s: float) -> bool:
        """Wait until at least `env_steps` transitions are stored; False when they have not come in time.

        Raises:
            JournalError: the disk refused a transition; nothing more can be stored.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._stored >= env_steps or self._failure is not None, timeout_s)
            if self._failure is not None:
                raise self._failure
            return self._stored >= env_steps

    def publish(self, weights: Weights) -> None:
        """Make these the newest weights; every actor gets them, also one that connects later."""
        self._weights = (weights.version, weights.to_bytes())
        self._notify()

    def grant(self, env_steps: int) -> None:
        """Allow the actors to go on until `env_steps` transitions are stored in total."""
        if env_steps != self._limit:
            self._limit = env_steps
            self._notify()

    def finish(self) -> None:
        """Tell the actors that the training is over."""
        self._finished = True
        self._notify()

    def wait_for_disconnects(self, timeout_s: float) -> bool:
        """Wait until nobody is connected; False when somebody still is by then."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not any(record.connections for record in self._records.values()), timeout_s
            )

    def take_reports(self) -> list[tuple[str, Report]]:
        """Reports since the last call, each with the name of its actor."""
        with self._changed:
            taken = list(self._reports)
            self._reports.clear()
            return taken

    def silence_s(self) -> float:
        """Seconds since the last message of any actor; infinity before the first one."""
        times_s = [record.last_message_s for record in list(self._records.values()) if record.role == "actor"]
        return time.monotonic() - max(times_s) if times_s else float("inf")

    def lag(self) -> int | None:
        """The largest lag of the actors that are connected, in updates; None where nobody has told one."""
        records = [record for record in list(self._records.values()) if record.connections and record.role == "actor"]
        return max((record.lag for record in records if record.lag is not None), default=None)

    def status(self) -> dict[str, Any]:
        """The state of the run and of its actors, as plain values."""
        newest = {record.actor: record for record in list(self._records.values())}
        now_s = time.monotonic()
        return {
            "env": self._env,
            "env_steps": self._stored,
            "is_finished": self._finished,
            "progress": asdict(self.progress) if self.progress else {},
            "actors": {name: _describe(record, now_s) for name, record in newest.items()},
        }

    def forget(self, before_row: int, keep: Iterable[Rows]) -> None:
        """Delete stored transitions before a row, except those to keep; actors may send meanwhile.

        Raises:
            JournalError: the disk refuses.
        """
        self._journal.forget(before_row, keep)

    # Called by the connections.

    @property
    def connections(self) -> int:
        """The number of connections."""
        return sum(record.connections for record in list(self._records.values()))

    def newest_weights(self) -> tuple[int, bytes] | None:
        """Version and frame of the newest weights."""
        return self._weights

    def register(self, handshake: Handshake) -> tuple[ActorRecord, HandshakeReply]:
        """Add a connection of an actor.

        A newer attempt of the same actor takes the place of an older one, and a newer connection that of an older one.

        Raises:
            LinkProtocolError: it has another version of the protocol, or a newer attempt has taken its place.
            SchemaMismatch: it has another environment, or other spaces.
        """
        if handshake.protocol != PROTOCOL:
            raise LinkProtocolError(
                f"the actor speaks protocol {handshake.protocol}, the learner {PROTOCOL}: update the older one"
            )
        with self._changed:
            self._check_spec(handshake.spec)
            fresh = ActorRecord(handshake.actor, handshake.attempt, handshake.role, NOTHING_STORED)
            record = self._records.setdefault(fresh.actor_id, fresh)
            if record is fresh:
                for other in self._records.values():
                    other.is_superseded |= other is not record and (other.actor, other.role) == (
                        record.actor,
                        record.role,
                    )
            record.newest += 1
            self.require_current(record, record.newest)
            record.last_sequence = self._journal.last_sequence(record.actor_id)
            record.connections += 1
            record.last_message_s = time.monotonic()
            reply = HandshakeReply(last_sequence=record.last_sequence, env_steps=self._stored)
        self._notify()
        return record, reply

    def require_current(self, record: ActorRecord, number: int) -> None:
        """Raise `LinkProtocolError` unless connection `number` of this attempt may send."""
        if record.is_superseded:
            raise LinkProtocolError(
                f"a newer start of actor {record.actor!r} has taken the place of this one; end one of them, or give "
                "each a --name of its own"
            )
        if number != record.newest:
            raise LinkProtocolError(f"actor {record.actor!r} has connected again; this connection is over")

    def unregister(self, record: ActorRecord) -> None:
        """Remove a connection of this attempt, which has ended."""
        record.connections -= 1
        self._notify()

    def store(self, record: ActorRecord, number: int, chunks: Sequence[Chunk]) -> None:
        """Write chunks of connection `number` to disk, in few transactions; what is stored already is skipped.

        Raises:
            LinkProtocolError: another connection or attempt has taken the place of this one; nothing is stored.
            SchemaMismatch: a field is missing, of another shape, or not finite; nothing after that chunk is stored.
            SequenceGap: transitions before a chunk are missing.
        """
        assert self._schema is not None
        self.require_current(record, number)
        try:
            for chunk in merge(chunks):
                self._schema.flatten(chunk.transitions)
                info = gap_info(chunk.follows_gap)
                last = self._journal.append(record.actor_id, chunk.first_sequence, chunk.transitions, info)
                with self._changed:
                    self._stored = len(self._journal)
                    record.last_sequence = last
        finally:
            self._notify()

    def fail(self, error: RlError) -> None:
        """Tell the learner's loop that nothing can be stored any more."""
        self._failure = error
        self._notify()

    def on_message(self, record: ActorRecord, message: Heartbeat | Report | None = None) -> None:
        """Record the time of a message, and its content unless it was a chunk."""
        record.last_message_s = time.monotonic()
        if isinstance(message, Heartbeat):
            record.heartbeat = message
            record.lag = self._weights[0] - message.weights_version if self._weights else None
        elif message is not None:
            with self._changed:
                self._reports.append((record.actor, message))

    def ack(self, record: ActorRecord) -> Ack:
        """Acknowledged transitions and permitted steps of this attempt; all connected actors share the permitted steps.

        Steps that are under way are not counted yet, so several actors may exceed the limit by as many. Promises that
        never overlap would let one actor that pauses hold up all others.
        """
        with self._changed:
            connected = sum(other.connections > 0 and other.role == "actor" for other in self._records.values())
            share = -(-max(0, self._limit - self._stored) // max(1, connected))
            return Ack(
                last_sequence=record.last_sequence,
                sequence_limit=record.last_sequence + share,
                env_steps=self._stored,
                is_finished=self._finished,
            )

    def subscribe(self, listener: Callable[[], object]) -> Callable[[], None]:
        """Call `listener` after every change, from whatever thread changed it; returns the way to stop that."""
        with self._changed:
            self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def _check_spec(self, spec: AgentSpec) -> None:
        if spec.env != self._env:
            raise SchemaMismatch(
                f"this learner trains {self._env}, the actor has {spec.env}: start it with --env {self._env}"
            )
        if self._spec is None:
            self._spec, self._schema = spec, _schema(spec)
        elif spec.base != self._spec.base:
            raise SchemaMismatch(base_difference(spec.base, self._spec.base))
        elif spec != self._spec:
            raise SchemaMismatch(
                f"the actor's spaces differ from those of this run: observation {spec.observation!r}, action "
                f"{spec.action!r}; this run has observation {self._spec.observation!r}, action {self._spec.action!r}"
            )

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()
            listeners = list(self._listeners)
        for listener in listeners:
            listener()


def _schema(spec: AgentSpec) -> TransitionSchema:
    observation, action = build_space(spec.observation), build_space(spec.action)
    return TransitionSchema.from_spaces(observation, action, {name: extra_field(name, action) for name in spec.extras})


def _describe(record: ActorRecord, now_s: float) -> dict[str, Any]:
    heartbeat = record.heartbeat
    return {
        "role": record.role,
        "attempt": record.attempt,
        "is_connected": record.connections > 0,
        "silent_s": round(now_s - record.last_message_s, 1),
        "stored": record.last_sequence + 1,
        "weights_version": heartbeat.weights_version if heartbeat else None,
        "lag": record.lag,
        "backlog": heartbeat.backlog if heartbeat else 0,
        "dropped": heartbeat.dropped if heartbeat else 0,
        "waiting_for": heartbeat.waiting_for if heartbeat else None,
    }
