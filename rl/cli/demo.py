"""The command that shows the whole system at work, from a robot server to a policy that has learned."""

from __future__ import annotations

from rl.cli.command import Command
from rl.cli.demonstration.options import DemoOptions
from rl.utils.subprocesses import Stop


def demo(options: DemoOptions, stop: Stop) -> None:
    """Run the demonstration."""
    from rich.console import Console

    from rl.cli.demonstration.run import run_demo

    run_demo(options, Console())


DEMO = Command("watch a simulated arm learn to pick up a cube, in minutes", DemoOptions, demo)
