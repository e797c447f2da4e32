"""The command line: every subcommand of `robotkit`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import tyro

from robotkit.cli.calibrate import CameraCalibration, HandEyeCalibration
from robotkit.cli.catalogue import List
from robotkit.cli.check import Check
from robotkit.cli.doctor import Doctor
from robotkit.cli.init import Init
from robotkit.cli.operate import Cameras, Gripper, Home, Recover, Watch
from robotkit.cli.remote import State, Stop
from robotkit.console import EXIT_STATUSES, exit_status
from robotkit.option_errors import refusals_as_sentences

Calibrate = (
    Annotated[CameraCalibration, tyro.conf.subcommand("camera")]
    | Annotated[HandEyeCalibration, tyro.conf.subcommand("hand-eye")]
)
Command = (
    Annotated[List, tyro.conf.subcommand("list")]
    | Annotated[Init, tyro.conf.subcommand("init")]
    | Annotated[Doctor, tyro.conf.subcommand("doctor")]
    | Annotated[Check, tyro.conf.subcommand("check")]
    | Annotated[
        Calibrate, tyro.conf.subcommand("calibrate", description="Measure a camera: its lens, and where it is mounted.")
    ]
    | Annotated[State, tyro.conf.subcommand("state")]
    | Annotated[Watch, tyro.conf.subcommand("watch")]
    | Annotated[Stop, tyro.conf.subcommand("stop")]
    | Annotated[Recover, tyro.conf.subcommand("recover")]
    | Annotated[Home, tyro.conf.subcommand("home")]
    | Annotated[Gripper, tyro.conf.subcommand("gripper")]
    | Annotated[Cameras, tyro.conf.subcommand("cameras")]
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status (`robotkit.console`)."""
    return exit_status(lambda: _run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    given = list(sys.argv[1:] if arguments is None else arguments)
    with refusals_as_sentences(_program(given)):
        command: Any = tyro.cli(
            Command,
            prog="robotkit",
            description=f"A ROS-free robot hardware layer. Exit status: {EXIT_STATUSES}.",
            args=given,
        )
    return int(command.run())


def _program(given: Sequence[str]) -> str:
    """The program with the command that a command line begins with, of one word or of two."""
    words = given[: 2 if given[:1] == ["calibrate"] else 1]
    return " ".join(["robotkit", *(word for word in words if not word.startswith("-"))])
