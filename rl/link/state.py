"""The state that an actor's loop shares with its connection to the learner."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field

from rl.errors import RlError
from rl.link.frames import Weights
from rl.link.messages import NOTHING_STORED, HandshakeReply, Report
from rl.link.outbox import Outbox, Overflow


@dataclass(frozen=True)
class ClientSettings:
    """Settings of an actor's connection to its learner."""

    url: str
    """`ws://host:port/v1/link`."""
    token: str | None = None
    capacity: int = 20_000
    """Transitions kept until they are acknowledged."""
    overflow: Overflow = "wait"
    """Behaviour when that many are waiting; see `Outbox`."""
    max_chunk: int = 300
    """Transitions in a message at most."""
    linger_s: float = 0.005
    """How long a message waits for more transitions before it leaves."""
    heartbeat_s: float = 1.0
    """Time between two heartbeats."""
    give_up_s: float = 300.0
    """Time without the learner after which the actor stops with `LinkUnavailable`; until then it reconnects."""


@dataclass
class LinkState:
    """The state that the actor's loop and its connection share; `changed` announces changes."""

    outbox: Outbox
    reports: deque[Report]
    handshake_reply: HandshakeReply | None = None
    weights: Weights | None = None
    """Newest weights that the loop has not taken."""
    applied_version: int = 0
    """Version that the loop acts with."""
    sequence_limit: int = NOTHING_STORED
    env_steps: int = 0
    is_finished: bool = False
    waiting_for: str | None = None
    """Reason that keeps the actor from going on."""
    connections: int = 0
    last_problem: str = ""
    failure: RlError | None = None
    changed: threading.Condition = field(default_factory=threading.Condition)

    def may_step(self) -> bool:
        """True when the learner allows one more transition."""
        return self.outbox.next_sequence <= self.sequence_limit and not self.is_finished

    def is_flushed(self) -> bool:
        """True when everything was sent and stored."""
        return not len(self.outbox) and not self.reports

    def announce(self) -> None:
        """Wake whoever waits for a change."""
        with self.changed:
            self.changed.notify_all()

    def fail(self, error: RlError) -> None:
        """End the connection with an error, which the actor's loop gets at its next call."""
        self.failure = error
        self.outbox.close()
        self.announce()
