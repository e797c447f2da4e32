"""Configurations that earlier versions stored, as this version has them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def of_this_version(stored: dict[str, Any], agents: Iterable[str]) -> dict[str, Any]:
    """Return a stored configuration with the chosen agent alone, and with what its run did where it does not say it.

    Before 0.2 the settings of every agent stood in it, a run kept every transition, and one frame was a success.

    Args:
        stored: as it was read.
        agents: names of all agents.
    """
    stored = {"classifier": {"positive_frames": 1}, **stored}
    replay = stored.get("replay")
    if isinstance(replay, dict):
        stored = {**stored, "replay": {"keep_all": True, **replay}}
    return stored if isinstance(stored.get("agent"), dict) else _with_one_agent(stored, agents)


def _with_one_agent(stored: dict[str, Any], agents: Iterable[str]) -> dict[str, Any]:
    """Take one agent; the bias of its rewards, once added to each n-step sum, becomes that of each step."""
    groups = {name: name.replace("-", "_") for name in agents}
    name = stored.get("agent", "sac")
    agent = {"name": name, **stored.get(groups.get(name, ""), {})}
    if bias := agent.get("reward_bias"):
        steps = range(stored.get("replay", {}).get("n_step", 1))
        agent["reward_bias"] = bias / sum(agent.get("discount", 0.99) ** step for step in steps)
    return {key: value for key, value in stored.items() if key not in groups.values()} | {"agent": agent}
