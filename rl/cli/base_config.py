"""The configuration that the options of a training start from: a preset, a stored one, or that of the run in --out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, TypeVar

import tyro

from rl.agents.continuous.agent_configs import AGENT_CONFIGS, default_agent_config
from rl.cli.command import PROGRAM, BaseConfig
from rl.config import TrainConfig, load_config
from rl.errors import ConfigError
from rl.presets import default, make_preset
from rl.training.start_from_demos import starting_from_demos
from rl.utils.run_directory import BC_SETTINGS, CONFIG, HG_DAGGER_SETTINGS, asked_directory

Options = TypeVar("Options")

Flat = Annotated[TrainConfig, tyro.conf.arg(name="")]


def on_config(wrap: Callable[[TrainConfig], Options]) -> Callable[[list[str]], BaseConfig[Options]]:
    """The base of options that hold a training's configuration, which `wrap` puts into them."""

    def find_base(arguments: list[str]) -> BaseConfig[Options]:
        found = find_config(arguments)
        assert found.options is not None
        return BaseConfig(found.arguments, wrap(found.options), found.note)

    return find_base


def find_config(arguments: list[str], *, continues: bool = False) -> BaseConfig[TrainConfig]:
    """The configuration that --config, --preset or --out of a command line names, and the rest of the line.

    Of the agents, it holds the one that --agent names.

    Args:
        arguments: the command line.
        continues: whether the command takes up the run in --out, without --resume.

    Raises:
        ConfigError: one of them does not exist.
    """
    scan = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    scan.add_argument("--config", type=Path)
    scan.add_argument("--preset")
    scan.add_argument("--agent")
    found, rest = scan.parse_known_args(arguments)
    out, resumes = asked_directory(arguments)
    stored = out / CONFIG if out else None
    if out is not None and resumes and (out / BC_SETTINGS).exists():
        command = "hg-dagger" if (out / HG_DAGGER_SETTINGS).exists() else "bc"
        raise ConfigError(f"{out} is a behaviour cloning; go on with: {PROGRAM} {command} --out {out} --resume")
    if found.config is not None:
        config = load_config(found.config)
    elif stored is not None and (resumes or continues) and stored.exists():
        config = load_config(stored)
    elif found.agent is not None and found.preset in (None, "default"):
        config = default(found.agent)
    else:
        config = make_preset(found.preset or "default")
    if found.agent is not None and found.agent != config.agent_name:
        config = replace(config, agent=default_agent_config(found.agent))
    if _asked_demos(arguments) and not config.from_demos and not resumes:
        config = starting_from_demos(config)
    note = f"--config FILE starts from a run's configuration; --agent.* are the options of {config.agent_name}."
    return BaseConfig(_with_new_names(rest, config.agent_name), config, note)


def _asked_demos(arguments: list[str]) -> bool:
    """Whether a command line names demonstrations to start from.

    Raises:
        ConfigError: it names the option, and no file.
    """
    look = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    look.add_argument("--from-demos", "--from_demos", nargs="*", dest="files")
    files = look.parse_known_args(arguments)[0].files
    if files == []:
        raise ConfigError("--from-demos needs a file of demonstrations: `robotkit-train record demos` writes one")
    return files is not None


def _with_new_names(arguments: list[str], agent: str) -> list[str]:
    """A command line whose options of the agent begin with `--agent.`; before 0.2 they began with the agent's name.

    Raises:
        ConfigError: an option is that of another agent.
    """
    renamed = list(arguments)
    for index, word in enumerate(arguments):
        group, dot, option = word.removeprefix("--").partition(".")
        name = group.replace("_", "-")
        if not (word.startswith("--") and dot and name in AGENT_CONFIGS):
            continue
        if name != agent:
            raise ConfigError(f"{word} is an option of --agent {name}, and the agent of this run is {agent}")
        renamed[index] = f"--agent.{option}"
        print(f"`--{group}.{option}` is now `--agent.{option}`", file=sys.stderr)  # noqa: T201
    return renamed
