"""The configuration that the options of a training start from: a preset, a stored one, or that of the run in --out."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import tyro

from rl.cli.command import Start
from rl.config import TrainConfig, load_config
from rl.presets import make_preset
from rl.utils.run_directory import CONFIG, asked_directory

Options = TypeVar("Options")

Flat = Annotated[TrainConfig, tyro.conf.arg(name="")]


def on_config(
    wrap: Callable[[TrainConfig], Options], *, continues: bool = False
) -> Callable[[list[str]], Start[Options]]:
    """How options that hold a training's configuration start.

    Args:
        wrap: puts the configuration into the options.
        continues: whether they take up the run in --out, without --resume.
    """

    def start(arguments: list[str]) -> Start[Options]:
        found = find_config(arguments, continues=continues)
        assert found.options is not None
        return Start(found.arguments, wrap(found.options))

    return start


def find_config(arguments: list[str], *, continues: bool = False) -> Start[TrainConfig]:
    """What --config, --preset or --out of a command line name, and the rest of the line."""
    scan = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    scan.add_argument("--config", type=Path)
    scan.add_argument("--preset")
    found, rest = scan.parse_known_args(arguments)
    out, resumes = asked_directory(arguments)
    stored = out / CONFIG if out else None
    if found.config is not None:
        return Start(rest, load_config(found.config))
    if stored is not None and (resumes or continues) and stored.exists():
        return Start(rest, load_config(stored))
    return Start(rest, make_preset(found.preset or "default"))
