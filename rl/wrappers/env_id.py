"""Gymnasium ids: looked up, with what is wrong with one as a sentence."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

import gymnasium as gym
from gymnasium.envs.registration import find_highest_version, parse_env_id

from rl.errors import ConfigError


def require_env_id(env_id: str) -> None:
    """Raise `ConfigError` where no environment of this id is registered; none is made.

    Args:
        env_id: `Id-v0` or `module:Id-v0`, whose module is imported first.
    """
    with looked_up(env_id):
        module, separator, name = env_id.rpartition(":")
        if separator:
            import_module(module)
        namespace, word, version = parse_env_id(name)
        # An id without a version means the newest one, which Gymnasium finds only when it makes the environment.
        if version is not None or find_highest_version(namespace, word) is None:
            gym.spec(name)


@contextmanager
def looked_up(env_id: str) -> Iterator[None]:
    """Translate what Gymnasium raises for an id that it cannot find.

    Raises:
        ConfigError: the module cannot be imported, or there is no such environment.
    """
    try:
        yield
    except ImportError as error:
        raise ConfigError(f"the environment {env_id!r} cannot be imported: {error}") from error
    except gym.error.Error as error:
        raise ConfigError(f"there is no environment {env_id!r}: {error}{_origin(env_id)}") from error


def _origin(env_id: str) -> str:
    """Where the module of `module:Id-v0` was found: a folder of the same name hides an installed package."""
    module, separator, _ = env_id.partition(":")
    file = getattr(sys.modules.get(module), "__file__", None) if separator else None
    return (
        f" The module {module!r} was found in {file}: if that hides an installed package, start from another folder"
        if file
        else ""
    )
