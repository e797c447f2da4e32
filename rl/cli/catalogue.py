"""The command that lists what options choose from: presets and agents."""

from __future__ import annotations

from dataclasses import dataclass

from rl.agents.continuous.agent_configs import AGENT_CONFIGS
from rl.cli.command import Command
from rl.presets import PRESETS
from rl.utils.subprocesses import Stop


@dataclass(frozen=True)
class ListOptions:
    """Show the presets and the agents."""


def show(options: ListOptions, stop: Stop) -> None:
    """Print their names, each with a sentence."""
    for heading, members in (("Presets (--preset NAME)", PRESETS), ("Agents (--agent NAME)", AGENT_CONFIGS)):
        print(f"{heading}:")  # noqa: T201
        for name, member in members.items():
            print(f"  {name:<16}{(member.__doc__ or '').splitlines()[0]}")  # noqa: T201


LIST = Command("show the presets and the agents", ListOptions, show)
