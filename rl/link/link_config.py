"""`LinkConfig`: the settings of the connection between actors and their learner."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

TOKEN_VARIABLE = "RL_LINK_TOKEN"
"""Environment variable with the shared secret."""


@dataclass(frozen=True)
class LinkConfig:
    """The connection between actors and the learner."""

    host: str = "127.0.0.1"
    """Address of the learner. It listens there; everything but loopback needs a token."""
    port: int | None = None
    """Port of the learner. By default `train` picks a free one, and the other commands use 5488."""
    token: str | None = None
    """Shared secret; taken from RL_LINK_TOKEN when not given."""
    capacity: int = 20_000
    """Transitions that an actor keeps until they are acknowledged."""
    overflow: Literal["wait", "drop_oldest"] = "wait"
    """Behaviour of an actor when so many wait: a simulation waits, a real robot drops the oldest and says so."""
    connect_timeout_s: float = 60.0
    """How long an actor waits for its learner at the start."""
    give_up_s: float = 300.0
    """How long an actor goes on without its learner later."""
    silence_s: float = 30.0
    """Time without a word from any actor after which the learner stops updating, and says so."""

    def secret(self) -> str | None:
        """The token, from the configuration or the environment."""
        return self.token or os.environ.get(TOKEN_VARIABLE) or None
