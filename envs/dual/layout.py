"""Joins the observations, actions and `info` of two arms into one, and splits the options of a reset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from envs.wrappers.action_view import INTERVENE_ACTION
from envs.wrappers.layout import IMAGES, STATE, state_space
from robotkit import InvalidConfiguration

ARMS = ("left", "right")
"""The arms, in the order in which their numbers stand in an action."""

Env = gymnasium.Env[Any, Any]


def joined_action_space(left: Env, right: Env) -> spaces.Box:
    """The left arm's numbers, then the right one's.

    Raises:
        InvalidConfiguration: one of them has no flat box, or their types differ.
    """
    parts = [env.action_space for env in (left, right)]
    boxes = [part for part in parts if isinstance(part, spaces.Box) and len(part.shape) == 1]
    if len(boxes) < len(parts) or boxes[0].dtype != boxes[1].dtype:
        raise InvalidConfiguration(f"actions of two arms are joined from two flat boxes of one type, not from {parts}")
    low, high = np.concatenate([box.low for box in boxes]), np.concatenate([box.high for box in boxes])
    return spaces.Box(low, high, dtype=boxes[0].dtype.type)


def joined_observation_space(left: Env, right: Env) -> spaces.Dict:
    """The space of `join_observations`.

    Raises:
        InvalidConfiguration: one of them does not observe a dict `state`.
    """
    parts = []
    for env in (left, right):
        state_space("a pair of arms", env)
        assert isinstance(env.observation_space, spaces.Dict)
        parts.append(env.observation_space.spaces)
    return spaces.Dict({name: spaces.Dict(entries) for name, entries in join_observations(parts).items()})


def join_observations(observations: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """State entries and images of both arms under `left/…` and `right/…`; images only where there are some."""
    joined: dict[str, dict[str, Any]] = {STATE: {}, IMAGES: {}}
    for arm, parts in zip(ARMS, observations, strict=True):
        for name in (STATE, IMAGES):
            joined[name] |= {f"{arm}/{key}": entry for key, entry in parts.get(name, {}).items()}
    return joined if joined[IMAGES] else {STATE: joined[STATE]}


def join_infos(infos: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The `info` of each arm under `left/…` and `right/…`, and the values that concern both arms together.

    Interventions are left out: what they mean depends on what the other arm was given.
    """
    joined: dict[str, Any] = {}
    for arm, info in zip(ARMS, infos, strict=True):
        joined |= {f"{arm}/{key}": value for key, value in info.items() if key != INTERVENE_ACTION}
    for key, together in (("gripper_changed", any), ("grasp_penalty", sum), ("is_torn", any), ("overrun_s", max)):
        values = [info[key] for info in infos if key in info]
        if values:
            joined[key] = together(values)
    return joined


def split_options(options: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Reset options by arm, each under its own name.

    Raises:
        InvalidConfiguration: one belongs to neither.
    """
    split: dict[str, dict[str, Any]] = {arm: {} for arm in ARMS}
    for name, value in options.items():
        arm, _, own = name.partition("/")
        if arm not in split or not own:
            raise InvalidConfiguration(f"a reset option of two arms is called 'left/…' or 'right/…', not {name!r}")
        split[arm][own] = value
    return split
