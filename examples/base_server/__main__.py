"""Serve a run's policy: `python -m examples.base_server --policy runs/bc --port 8000`.

Each connection is an episode: the server sends a description of the policy, then answers each observation with a chunk
of one action. A client with another token than that of RL_BASE_TOKEN is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import tyro

from examples.base_server.protocol import Act, PolicyServer
from rl.training.base_checkpoint import CheckpointBase, StoredPolicy
from rl.wrappers.make_env import adapt, open_env
from rl.wrappers.raw_view import RawView
from rl.wrappers.served_base import VECTOR


@dataclass(frozen=True)
class Options:
    """The options of the server."""

    policy: Path
    """Directory of a run of `bc` or `train`, or a checkpoint in it."""
    host: str = "127.0.0.1"
    """Address to listen at."""
    port: int = 8000
    """Port to listen at; 0 takes a free one."""


def make_server(stored: StoredPolicy, env: gym.Env) -> PolicyServer:
    """A server of a stored policy.

    Args:
        stored: the policy.
        env: an environment like that of the clients; no step is taken in it.

    Raises:
        ConfigError: the policy does not fit it.
    """
    adaptation = stored.adaptation
    view = RawView(env, adapt(env, adaptation), adaptation.frame_stack)

    def begin() -> Act:
        base = CheckpointBase(stored, env, adaptation)

        def act(sent: Mapping[str, Any]) -> np.ndarray:
            return view.actions(base.act(as_observation(sent, env.observation_space)))[None]

        return act

    begin()  # refuses a policy that does not fit, before anybody connects
    return PolicyServer(begin, {"policy": str(stored.checkpoint), "sha256": stored.identity})


def as_observation(sent: Mapping[str, Any], space: gym.Space[Any], path: str = "") -> Any:
    """The observation of the environment that was sent as arrays by their paths."""
    if isinstance(space, gym.spaces.Dict):
        return {
            name: as_observation(sent, inner, f"{path}/{name}" if path else name)
            for name, inner in space.spaces.items()
        }
    return np.asarray(sent[path or VECTOR])


def main(options: Options) -> None:
    """Serve until the process is ended."""
    stored = StoredPolicy.find(options.policy)
    with closing(open_env(stored.config.env, stored.config.cell)) as env:
        make_server(stored, env).serve(options.host, options.port)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
