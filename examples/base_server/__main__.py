"""Serve a run's policy: `python -m examples.base_server --policy runs/bc --port 8000`.

Each connection is an episode: the server sends a description of the policy, then answers each observation with a chunk
of one action. A client with another token than that of RL_BASE_TOKEN is refused.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import tyro
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from rl.errors import CodecError, RlError
from rl.link.policy_client import TOKEN_VARIABLE
from rl.link.policy_codec import pack, unpack
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


class PolicyServer:
    """Answers observations of an environment with the actions of a stored policy.

    Args:
        stored: the policy.
        env: an environment like that of the clients; no step is taken in it.
    """

    def __init__(self, stored: StoredPolicy, env: gym.Env) -> None:
        self._stored, self._env = stored, env
        self._view = RawView(env, adapt(env, stored.adaptation), stored.adaptation.frame_stack)
        self._base()  # refuses a policy that does not fit, before anybody connects

    def _base(self) -> CheckpointBase:
        return CheckpointBase(self._stored, self._env, self._stored.adaptation)

    def handle(self, connection: ServerConnection) -> None:
        """Serve one connection until the client closes it."""
        base = self._base()
        connection.send(pack({"policy": str(self._stored.checkpoint), "sha256": base.identity}))
        try:
            for message in connection:
                if isinstance(message, str):
                    raise CodecError("an observation is a binary message")
                observation = _as_observation(unpack(message), self._env.observation_space)
                action = self._view.actions(base.act(observation))
                connection.send(pack({"actions": action[None]}))
        except RlError as error:
            connection.send(str(error))
        except ConnectionClosed:
            return


def refuse_strangers(connection: ServerConnection, request: Request) -> Response | None:
    """Refuse a client without the token, where there is one."""
    token = os.environ.get(TOKEN_VARIABLE)
    if token is None or request.headers.get("Authorization") == f"Api-Key {token}":
        return None
    return connection.respond(HTTPStatus.UNAUTHORIZED, "the token is missing or wrong\n")


def _as_observation(sent: Mapping[str, Any], space: gym.Space[Any], path: str = "") -> Any:
    """The observation of the environment that was sent as arrays by their paths."""
    if isinstance(space, gym.spaces.Dict):
        return {
            name: _as_observation(sent, inner, f"{path}/{name}" if path else name)
            for name, inner in space.spaces.items()
        }
    return np.asarray(sent.get(path or VECTOR))


def main(options: Options) -> None:
    """Serve until the process is ended."""
    stored = StoredPolicy.find(options.policy)
    with closing(open_env(stored.config.env, stored.config.cell)) as env:
        server = PolicyServer(stored, env)
        with serve(
            server.handle, options.host, options.port, process_request=refuse_strangers, compression=None
        ) as listening:
            port = listening.socket.getsockname()[1]
            print(f"{stored.checkpoint} at ws://{options.host}:{port}", flush=True)
            listening.serve_forever()


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
