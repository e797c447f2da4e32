"""`python -m rl`: the commands of the learner."""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, TypeVar

import tyro
from rich.console import Console

from rl.config import TrainConfig, load_config
from rl.errors import ConfigError, RlError
from rl.presets import make_preset
from rl.utils.run_directory import CONFIG, asked_directory, claim_run
from rl.utils.subprocesses import USER_ERROR, ChildFailed, StopSignal

DATA_NAMES = ("import-demos", "convert", "export-lerobot", "import-lerobot")
OFFLINE_NAMES = ("train-bc", "train-classifier", "record-success", "record-demos")

USAGE = """usage: python -m rl COMMAND [options]

  train    start a learner, actors and an evaluator on this machine, and show how it goes
  learner  the learner alone, under torchrun on several processes; actors may be on other machines
  actor    one actor, for a learner that runs elsewhere
  watch    an evaluator that measures a running learner's newest weights
  eval     load a checkpoint and measure it
  replay   take the actions of recorded episodes again, here or in another cell

  record-demos      record successful episodes of a person or of a script
  train-bc          clone demonstrations
  train-classifier  train a reward classifier on labelled frames
  record-success    step an environment and store labelled frames for it

  import-demos    pickled demonstrations of SERL or HIL-SERL to a demonstration file
  convert         weights of SERL to ours: the public ResNet-10, or a checkpoint of its agent for states
  export-lerobot  a demonstration file to a LeRobotDataset
  import-lerobot  a LeRobotDataset to a demonstration file

`python -m rl COMMAND --help` lists every option. `--preset NAME` or `--config FILE` choose what the options start from.
"""

Flat = Annotated[TrainConfig, tyro.conf.arg(name="")]


@dataclass(frozen=True)
class ActorOptions:
    """Collect experience for a learner."""

    config: Flat
    name: str = "actor-0"
    """Name of this actor; each actor of a run needs its own."""


@dataclass(frozen=True)
class EvalOptions:
    """Measure a checkpoint without exploration noise, and draw its episodes as eval.png of the run.

    An evaluation that was stopped starts over.
    """

    config: Flat
    checkpoint: Path | None = None
    """A directory step_… or the directory that holds them; by default the newest of the run in --out."""
    episodes: int = 20
    """Episodes to run."""
    video: Path | None = None
    """Write the best episode as .mp4 or .gif."""


@dataclass(frozen=True)
class Origin:
    """What the options start from, found before they are parsed."""

    config: TrainConfig
    rest: list[str] = field(default_factory=list)


Options = TypeVar("Options")


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: errors of the user's making are one sentence, and exit status 2."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    command = COMMANDS.get(given[0]) if given else None
    if command is None:
        asked_for_help = given[:1] in (["-h"], ["--help"])
        print(USAGE, file=sys.stdout if asked_for_help else sys.stderr)
        raise SystemExit(0 if asked_for_help else USER_ERROR)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    for noisy in ("httpx", "uvicorn.error", "websockets"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        command(given[1:])
    except (RlError, ChildFailed) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(USER_ERROR) from None


def train(arguments: list[str]) -> None:
    """Start everything on this machine."""
    from rl.training.supervisor import run_train

    config = _with_directory(parse_train_options("train", arguments))
    config.require_demos()
    config.require_goals()
    claim_run(config.directory(), resume=config.resume, facts={"env": config.env, "preset": config.preset})
    run_train(config, StopSignal().listen(), Console())


def learner(arguments: list[str]) -> None:
    """The learner's process."""
    from rl.training.processes import run_learner_role

    stop = StopSignal().listen()
    config = _with_directory(parse_train_options("learner", arguments))
    config.require_demos()
    config.require_goals()
    run_learner_role(config, stop)


def actor(arguments: list[str]) -> None:
    """An actor's process."""
    from rl.training.processes import run_actor_role

    stop = StopSignal().listen()
    options = _parse(ActorOptions, "actor", arguments, ActorOptions)
    run_actor_role(options.config, options.name, stop)


def watch(arguments: list[str]) -> None:
    """The evaluator's process."""
    from rl.training.processes import run_watch_role

    stop = StopSignal().listen()
    run_watch_role(parse_train_options("watch", arguments), stop)


def evaluate(arguments: list[str]) -> None:
    """Measure a checkpoint."""
    from rl.evaluation.evaluate import run_eval

    options = _parse(EvalOptions, "eval", arguments, EvalOptions)
    run_eval(options.config, options.checkpoint, options.episodes, options.video, Console())


def replay(arguments: list[str]) -> None:
    """Replay recorded episodes."""
    from rl.evaluation.replay import ReplayOptions, run_replay

    run_replay(tyro.cli(ReplayOptions, prog="python -m rl replay", args=arguments), Console())


def _command_of(module: str, table: str, name: str) -> Callable[[list[str]], None]:
    """A command of another file, which is imported when it is asked for."""

    def command(arguments: list[str]) -> None:
        getattr(importlib.import_module(module), table)[name](arguments)

    return command


COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "train": train,
    "learner": learner,
    "actor": actor,
    "watch": watch,
    "eval": evaluate,
    "replay": replay,
    **{name: _command_of("rl.cli_data", "DATA_COMMANDS", name) for name in DATA_NAMES},
    **{name: _command_of("rl.cli_offline", "OFFLINE_COMMANDS", name) for name in OFFLINE_NAMES},
}


def parse_train_options(command: str, arguments: list[str]) -> TrainConfig:
    """What the options of `train`, `learner` and `watch` ask for."""
    return _parse(TrainConfig, command, arguments, lambda config: config)


def _parse(kind: type[Options], command: str, arguments: list[str], wrap: Callable[[TrainConfig], Options]) -> Options:
    """Parse options on top of a preset, of a stored configuration, or of the run in --out."""
    origin = _origin(arguments, continues=command == "eval")
    return tyro.cli(kind, prog=f"python -m rl {command}", args=origin.rest, default=wrap(origin.config))


def _origin(arguments: list[str], *, continues: bool) -> Origin:
    scan = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    scan.add_argument("--config", type=Path)
    scan.add_argument("--preset")
    found, rest = scan.parse_known_args(arguments)
    out, resumes = asked_directory(arguments)
    stored = out / CONFIG if out else None
    if found.config is not None:
        return Origin(load_config(found.config), rest)
    if stored is not None and (resumes or continues) and stored.exists():
        return Origin(load_config(stored), rest)
    return Origin(make_preset(found.preset or "default"), rest)


def _with_directory(config: TrainConfig) -> TrainConfig:
    """A new directory under runs/ when none is given."""
    if config.out is not None:
        return config
    if config.resume:
        raise ConfigError("--resume needs --out: the directory of the run to continue")
    name = config.env.split(":")[-1]
    return replace(config, out=Path("runs") / f"{name}-{config.preset}-{time.strftime('%Y%m%d-%H%M%S')}-s{config.seed}")


if __name__ == "__main__":
    main()
