"""Takeovers by a person, or by a scripted human, while a policy acts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium

import robotkit
from envs.experts.scripted_human import Expert, ObserveForExpert, ScriptedHuman, TakeoverPolicy
from envs.wrappers.teleop_intervention import TeleopIntervention
from robotkit.registry import teleops

Env = gymnasium.Env[Any, Any]
Human = str | robotkit.BaseTeleop | None
"""Who may take over: "expert", "scripted", the name of a teleoperation device, a built one, or nobody."""

_POLICY_SHARE = 0.4
"""Share of an episode that the scripted human leaves to the policy."""


def add_human(
    env: Env, human: str | robotkit.BaseTeleop, expert: Callable[[Env], Expert] | None, max_episode_steps: int
) -> Env:
    """Let a person or a scripted human take over.

    Args:
        env: whose actions are deltas in the base frame.
        human: see `Human`.
        expert: makes the script that "expert" and "scripted" stand for.
        max_episode_steps: of which the scripted human leaves two fifths to the policy.

    Raises:
        InvalidConfiguration: a script is asked for, and there is none.
        UnknownPlugin: there is no such device.
        MissingExtra: its package is not installed.
    """
    if human in ("expert", "scripted"):
        if expert is None:
            raise robotkit.InvalidConfiguration(
                f"human={human!r}: there is no scripted expert for this environment; give a teleoperation device, such "
                'as "spacemouse"'
            )
        steps = 0 if human == "expert" else round(_POLICY_SHARE * max_episode_steps)
        return add_scripted_human(env, expert(env), TakeoverPolicy(steps))
    hand = teleops.make(human, None) if isinstance(human, str) else human
    return TeleopIntervention(env, hand)


def add_scripted_human(env: Env, expert: Expert, takeover: TakeoverPolicy) -> Env:
    """Let a scripted expert take over in the place of a person."""
    human = ScriptedHuman(expert, takeover)
    return TeleopIntervention(ObserveForExpert(env, human), human, hold_steps=0)
