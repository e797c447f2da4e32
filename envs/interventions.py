"""Takeovers by a person, or by a scripted human, while a policy acts."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

import gymnasium

import robotkit
from envs.experts.scripted_human import Expert, ObserveForExpert, ScriptedHuman, TakeoverPolicy
from envs.wrappers.teleop_intervention import TeleopIntervention
from robotkit.registry import teleops

Env = gymnasium.Env[Any, Any]
Human = str | robotkit.BaseTeleop | None
"""Source of interventions: "expert", "scripted", the name of a teleoperation device, a built one, or nobody."""

_SCRIPTS = ("expert", "scripted")
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
        UnknownPlugin: there is no such device; the message has those that there are, and the scripts.
        MissingExtra: its package is not installed.
    """
    if human in _SCRIPTS:
        if expert is None:
            raise robotkit.InvalidConfiguration(
                f"human={human!r}: there is no scripted expert for this environment; give a teleoperation device: "
                f"{', '.join(teleops.names())}"
            )
        steps = 0 if human == "expert" else round(_POLICY_SHARE * max_episode_steps)
        return add_scripted_human(env, expert(env), TakeoverPolicy(steps))
    if isinstance(human, str) and human not in teleops.names():
        scripts = () if expert is None else _SCRIPTS
        known = [*teleops.names(), *scripts]
        near = difflib.get_close_matches(human, known, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise robotkit.UnknownPlugin(
            f"human={human!r}: nobody of that name can take over.{hint} Known: {', '.join(known)}"
            + ("" if scripts else "; there is no scripted expert for this environment")
        )
    hand = teleops.make(human, None) if isinstance(human, str) else human
    return TeleopIntervention(env, hand)


def add_scripted_human(env: Env, expert: Expert, takeover: TakeoverPolicy) -> Env:
    """Let a scripted expert take over in the place of a person."""
    human = ScriptedHuman(expert, takeover)
    return TeleopIntervention(ObserveForExpert(env, human), human, hold_steps=0)
