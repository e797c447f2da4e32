"""Recording what a reward classifier learns from: `python -m rl record-success`."""

from __future__ import annotations

import importlib
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import gymnasium as gym
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from rl.environments import open_env
from rl.errors import ConfigError, DataError
from rl.offline.epochs import Stop
from rl.offline.labelled_frames import Frame, FrameWriter
from rl.pixels import STATE, PixelObservation
from rl.utils.held_key import HeldKey
from rl.utils.seeds import Seeds

POSITIVES, NEGATIVES = "positives.sqlite", "negatives.sqlite"

Label = Callable[[Mapping[str, Any]], bool]
"""From the `info` of a step to whether its frame shows success."""


class Operator(Protocol):
    """Who acts while frames are recorded."""

    def reset(self, observation: Any) -> None:
        """Start an episode."""
        ...

    def act(self, observation: Any) -> np.ndarray:
        """The next action."""
        ...


class ZeroAction:
    """Does nothing, so that the person who takes over does everything."""

    def __init__(self, env: gym.Env) -> None:
        space = env.action_space
        if not isinstance(space, gym.spaces.Box):
            raise ConfigError(f"the zero action needs an action space that is a Box, not {space}")
        self._action = np.zeros(space.shape, space.dtype)

    def reset(self, observation: Any) -> None:
        """See `Operator`."""

    def act(self, observation: Any) -> np.ndarray:
        """See `Operator`."""
        return self._action


@dataclass(frozen=True)
class RecordSuccessOptions:
    """Step an environment and store labelled frames, episode by episode.

    Raises:
        ConfigError: a number is out of range.
    """

    env: str
    """Gymnasium id; `module:Id-v0` imports the module first."""
    out: Path
    """Directory of `positives.sqlite` and `negatives.sqlite`; frames are added to files that are there."""
    cell: str | None = None
    """Workcell, for environments that take one."""
    human: str | None = None
    """Who takes over while the operator acts: spacemouse, gamepad, keyboard, or expert (the environment's own script);
    only for environments that know such a person."""
    wrappers: tuple[str, ...] = ()
    """Wrappers as `module:factory`, each called with the environment, the innermost first."""
    operator: str = "zero"
    """`zero`, or `module:factory`, called with the environment: makes an object with `reset(observation)` and
    `act(observation)`, such as a scripted expert."""
    noise: float = 0.0
    """Standard deviation of what is added to the operator's actions, for attempts that fail."""
    label: Literal["env", "key"] = "env"
    """`env` takes `info["success"]`; `key` marks every step during which a person holds --key."""
    key: str = " "
    """The key of --label key; the space bar by default."""
    positives: int = 200
    """Positive frames after which the recording ends."""
    episodes: int | None = None
    """Episodes after which it ends in any case."""
    image_keys: tuple[str, ...] | None = None
    """Cameras to store; all by default."""
    image_size: int | None = None
    """Height and width in pixels that images are scaled to; as the environment gives them by default."""
    seed: int = 0
    """Of the first reset and of the noise."""

    def __post_init__(self) -> None:
        """Refuse what cannot be recorded."""
        if self.positives < 1 or (self.episodes is not None and self.episodes < 1) or self.noise < 0:
            raise ConfigError("--positives and --episodes must be at least 1, and --noise at least 0")


@dataclass(frozen=True)
class Recorded:
    """What a recording came to, this time."""

    episodes: int
    positives: int
    negatives: int


def record_success(options: RecordSuccessOptions, stop: Stop, console: Console) -> Recorded:
    """Record until there are enough positives or somebody asks for the end; whole episodes only.

    Raises:
        ConfigError: environment, wrapper, operator or terminal are not there.
        DataError: the environment does not report success.
    """
    with ExitStack() as stack:
        env = open_env(options.env, options.cell, human=options.human)
        stack.callback(lambda: env.close())
        for wrapper in options.wrappers:
            env = load_factory(wrapper)(env)
        eyes = PixelObservation(env, options.image_keys, options.image_size)
        operator: Operator = ZeroAction(env) if options.operator == "zero" else load_factory(options.operator)(env)
        label: Label = success_of
        if options.label == "key":
            label = _held(stack.enter_context(HeldKey(options.key)))
            console.print(f"hold {'the space bar' if options.key == ' ' else options.key!r} while it is a success")
        options.out.mkdir(parents=True, exist_ok=True)
        files = [stack.enter_context(FrameWriter(options.out / name)) for name in (NEGATIVES, POSITIVES)]
        return _record(env, eyes, operator, label, files, options, stop, console)


def _record(
    env: gym.Env,
    eyes: PixelObservation,
    operator: Operator,
    label: Label,
    files: list[FrameWriter],
    options: RecordSuccessOptions,
    stop: Stop,
    console: Console,
) -> Recorded:
    seeds, session, counts, episodes = Seeds(options.seed), uuid.uuid4().hex[:12], [0, 0], 0
    noise = seeds.generator("noise")
    columns = (TextColumn("positives"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=options.positives)
        while counts[1] < options.positives and episodes != options.episodes and not stop.is_set():
            seed = seeds.integer("reset") if episodes == 0 else None
            classes = run_labelled(env, eyes, operator, label, noise, options.noise, seed)
            for index, frames in enumerate(classes):
                files[index].write(f"{session}-{episodes}", frames)
                counts[index] += len(frames)
            episodes += 1
            bar.update(task, completed=counts[1], description=f"{counts[0]} negatives, {episodes} episodes")
    console.print(
        f"{options.out}: {counts[1]} positive and {counts[0]} negative frames of {episodes} episodes",
        highlight=False,
        soft_wrap=True,
    )
    return Recorded(episodes, counts[1], counts[0])


def run_labelled(
    env: gym.Env,
    eyes: PixelObservation,
    operator: Operator,
    label: Label,
    generator: np.random.Generator,
    noise: float,
    seed: int | None,
) -> tuple[list[Frame], list[Frame]]:
    """One episode: its negative and its positive frames."""
    classes: tuple[list[Frame], list[Frame]] = ([], [])
    observation, _ = env.reset(seed=seed)
    operator.reset(observation)
    ended = False
    while not ended:
        action = operator.act(observation)
        if noise:
            action = (action + generator.normal(0.0, noise, np.shape(action))).astype(action.dtype)
        observation, _, terminated, truncated, info = env.step(action)
        seen = eyes.observation(observation)
        classes[label(info)].append({name: image for name, image in seen.items() if name != STATE})
        ended = bool(terminated or truncated)
    return classes


def success_of(info: Mapping[str, Any]) -> bool:
    """What the environment says.

    Raises:
        DataError: it says nothing.
    """
    if "success" not in info:
        raise DataError('the environment does not report info["success"]: label its frames by hand with --label key')
    return bool(np.all(info["success"]))


def _held(key: HeldKey) -> Label:
    def label(info: Mapping[str, Any]) -> bool:
        return key.is_down()

    return label


def load_factory(name: str) -> Callable[[gym.Env], Any]:
    """What `module:factory` names.

    Raises:
        ConfigError: there is no such thing.
    """
    module, colon, attribute = name.partition(":")
    try:
        if not colon:
            raise AttributeError("a name has the form module:factory")
        factory: Callable[[gym.Env], Any] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{name!r} cannot be loaded: {error}") from error
    return factory
