"""The command line: `robotkit list`, `doctor`, `check`, `calibrate`, `state` and `stop`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import tyro

from robotkit.cli.calibrate import CameraCalibration, HandEyeCalibration
from robotkit.cli.catalogue import List
from robotkit.cli.check import Check
from robotkit.cli.doctor import Doctor
from robotkit.cli.remote import State, Stop
from robotkit.console import EXIT_STATUSES, exit_status

Calibrate = (
    Annotated[CameraCalibration, tyro.conf.subcommand("camera")]
    | Annotated[HandEyeCalibration, tyro.conf.subcommand("hand-eye")]
)
Command = (
    Annotated[List, tyro.conf.subcommand("list")]
    | Annotated[Doctor, tyro.conf.subcommand("doctor")]
    | Annotated[Check, tyro.conf.subcommand("check")]
    | Annotated[
        Calibrate, tyro.conf.subcommand("calibrate", description="Measure a camera: its lens, and where it is mounted.")
    ]
    | Annotated[State, tyro.conf.subcommand("state")]
    | Annotated[Stop, tyro.conf.subcommand("stop")]
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status (`robotkit.console`)."""
    return exit_status(lambda: _run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    command: List | Doctor | Check | CameraCalibration | HandEyeCalibration | State | Stop = tyro.cli(
        Command,
        prog="robotkit",
        description=f"A ROS-free robot hardware layer. Exit status: {EXIT_STATUSES}.",
        args=arguments,
    )
    return command.run()
