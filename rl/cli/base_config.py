"""The configuration that the options of a training start from: a preset, a stored one, or that of the run in --out."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import tyro

from rl.cli.command import BaseConfig
from rl.config import TrainConfig, load_config
from rl.presets import make_preset
from rl.utils.run_directory import CONFIG, asked_directory

Options = TypeVar("Options")

Flat = Annotated[TrainConfig, tyro.conf.arg(name="")]


def on_config(
    wrap: Callable[[TrainConfig], Options], *, continues: bool = False
) -> Callable[[list[str]], BaseConfig[Options]]:
    """The base of options that hold a training's configuration.

    Args:
        wrap: puts the configuration into the options.
        continues: whether they take up the run in --out, without --resume.
    """

    def find_base(arguments: list[str]) -> BaseConfig[Options]:
        found = find_config(arguments, continues=continues)
        assert found.options is not None
        return BaseConfig(found.arguments, wrap(found.options))

    return find_base


def find_config(arguments: list[str], *, continues: bool = False) -> BaseConfig[TrainConfig]:
    """The configuration that --config, --preset or --out of a command line names, and the rest of the line."""
    scan = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    scan.add_argument("--config", type=Path)
    scan.add_argument("--preset")
    found, rest = scan.parse_known_args(arguments)
    out, resumes = asked_directory(arguments)
    stored = out / CONFIG if out else None
    if found.config is not None:
        return BaseConfig(rest, load_config(found.config))
    if stored is not None and (resumes or continues) and stored.exists():
        return BaseConfig(rest, load_config(stored))
    return BaseConfig(rest, make_preset(found.preset or "default"))
