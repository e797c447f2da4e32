"""`ServedBase`: a policy behind a websocket as a base policy, such as a large model on another machine."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np

from rl.errors import ConfigError, EnvironmentFailed, PolicyUnavailable
from rl.link.policy_client import PolicyClient
from rl.link.policy_codec import pack
from rl.utils.option_words import option
from rl.utils.subprocesses import Stop
from rl.utils.tree import leaves
from rl.wrappers.raw_view import RawView
from rl.wrappers.residual_config import ResidualConfig

VECTOR = "state"
"""Name under which an observation that is one array is sent."""


class ServedBase:
    """A served policy in an environment. Each episode has a connection of its own.

    A chunk of actions is taken one by one, and the next one is asked for when it ends, and after each step of a human.
    With an error the rest of a chunk is thrown away, and there is no action before the next episode.

    Args:
        url: of the server.
        raw: the environment as it is; the policy gets its observations, and gives its actions.
        adapted: the same one as the agent sees it.
        config: time limits, length of the chunks, and the task in words.
        stop: ends every wait for the server.

    Raises:
        ConfigError: nobody answers.
        PolicyUnavailable: somebody asked for the end while the server was waited for.
    """

    def __init__(
        self, url: str, raw: gym.Env, adapted: gym.Env, config: ResidualConfig, stop: Stop | None = None
    ) -> None:
        self._client, self._config = PolicyClient(url, stop), config
        self._view, self._action_dim = RawView(raw, adapted, 1), gym.spaces.flatdim(raw.action_space)
        self._waiting: deque[np.ndarray] = deque()
        self._has_answered = False
        self._unanswered: Mapping[str, Any] | None = None
        try:
            self.identity = _checksum(self._client.connect(config.start_timeout_s))
        except PolicyUnavailable as error:
            if stop is not None and stop.is_set():
                raise
            raise ConfigError(f"{error}. Start its server, and give its address as {option('base')}") from error
        self._client.close()

    def reset(self, observation: Any) -> None:
        """See `BasePolicy`; its connection was made before."""

    def prepare(self) -> None:
        """See `BasePolicy`.

        A server that left the newest question of the last episode without an answer is asked that once more, over a
        connection of its own: an arm is not taken to its start for a server that accepts connections and no more.

        Raises:
            EnvironmentFailed: another policy is served now.
        """
        self._waiting.clear()
        self._has_answered = False
        self._connect()
        if self._unanswered is not None:
            self._client.infer(self._unanswered, self._action_dim, self._config.start_timeout_s)
            self._unanswered = None
            self._connect()

    def _connect(self) -> None:
        metadata = self._client.connect(self._config.start_timeout_s)
        if _checksum(metadata) != self.identity:
            self._client.close()
            raise EnvironmentFailed(
                f"another policy is served at {self._client.url} now: it describes itself as {dict(metadata)!r:.300}. "
                "A correction fits the policy that it was learned on alone"
            )

    def act(self, observation: Any) -> np.ndarray:
        """See `BasePolicy`."""
        if not self._waiting:
            limits = self._config
            timeout_s = limits.answer_timeout_s if self._has_answered else limits.start_timeout_s
            asked = served_observation(observation, limits.prompt)
            try:
                chunk = self._client.infer(asked, self._action_dim, timeout_s)
            except PolicyUnavailable:
                self._unanswered = asked
                raise
            self._has_answered = True
            self._waiting.extend(chunk[: limits.chunk_steps])
        return self._view.agent_actions(self._waiting.popleft())

    def replan(self) -> None:
        """See `BasePolicy`."""
        self._waiting.clear()

    def close(self) -> None:
        """See `BasePolicy`."""
        self._client.close()


def served_observation(observation: Any, prompt: str | None = None) -> dict[str, Any]:
    """An observation as it is sent: arrays by their path in it, `images/front`; one array alone is `state`."""
    if isinstance(observation, Mapping):
        named = {"/".join(path): np.asarray(value) for path, value in leaves(observation)}
    else:
        named = {VECTOR: np.asarray(observation)}
    return named if prompt is None else {**named, "prompt": prompt}


def _checksum(metadata: Mapping[str, Any]) -> str:
    return hashlib.sha256(pack(sorted(metadata.items(), key=lambda item: str(item[0])))).hexdigest()
