"""Recording labelled frames for a reward classifier: `robotkit-train record success`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from rich.console import Console

from rl.data.labelled_frames import Frame, FrameWriter, spread_frames
from rl.errors import DataError
from rl.plots.pictures import draw_montages, side_by_side
from rl.recording.experts import Expert, ZeroAction, load_factory
from rl.recording.held_key import HeldKey
from rl.recording.options import RecordSuccessOptions
from rl.utils.progress import show_progress
from rl.utils.run_directory import NEGATIVES, POSITIVES
from rl.utils.seeds import Seeds
from rl.utils.subprocesses import Stop
from rl.wrappers.make_env import open_env
from rl.wrappers.pixel_observation import STATE, PixelObservation

PICTURE = "frames.png"
_SHOWN = 18  # frames of each kind in the picture

Label = Callable[[Mapping[str, Any]], bool]
"""Function from the `info` of a step to whether its frame shows success."""


@dataclass(frozen=True)
class Recorded:
    """The result of a recording; with --resume, including the frames that were there."""

    episodes: int
    positives: int
    negatives: int


def record_success(options: RecordSuccessOptions, stop: Stop, console: Console) -> Recorded:
    """Record until there are enough positives or somebody asks for the end, whole episodes only, and draw frames.

    Raises:
        ConfigError: environment, wrapper, expert or terminal are not there.
        DataError: the environment does not report success.
    """
    with ExitStack() as stack:
        env = open_env(options.env, options.cell, human=options.human)
        stack.callback(lambda: env.close())
        for wrapper in options.wrappers:
            env = load_factory(wrapper)(env)
        eyes = PixelObservation(env, options.image_keys, options.image_size)
        expert: Expert = ZeroAction(env) if options.expert == "zero" else load_factory(options.expert)(env)
        label: Label = success_of
        if options.label == "key":
            label = _held(stack.enter_context(HeldKey(options.key)))
            console.print(f"hold {'the space bar' if options.key == ' ' else options.key!r} while it is a success")
        options.out.mkdir(parents=True, exist_ok=True)
        files = [stack.enter_context(FrameWriter(options.out / name)) for name in (NEGATIVES, POSITIVES)]
        recorded = _record(env, eyes, expert, label, files, options, stop, console)
    if recorded.positives or recorded.negatives:
        _draw(options.out)
        console.print(f"{options.out / PICTURE}: frames of both kinds", highlight=False, soft_wrap=True)
    if stop.is_set():
        console.print("stopped; the same command with --resume goes on", highlight=False)
    return recorded


def _record(
    env: gym.Env,
    eyes: PixelObservation,
    expert: Expert,
    label: Label,
    files: list[FrameWriter],
    options: RecordSuccessOptions,
    stop: Stop,
    console: Console,
) -> Recorded:
    negatives, positives = files
    number = _next_number(positives, negatives)
    start = Recorded(0, 0, 0) if options.resume else Recorded(number, len(positives), len(negatives))

    def so_far() -> Recorded:
        return Recorded(number - start.episodes, len(positives) - start.positives, len(negatives) - start.negatives)

    recorded = so_far()
    with show_progress(console, "positives", options.positives, recorded.positives) as show:
        while recorded.positives < options.positives and recorded.episodes != options.episodes and not stop.is_set():
            chance = Seeds(Seeds(options.seed).integer(f"episode {number}"))
            of_failure, of_success = run_labelled(env, eyes, expert, label, chance, options.noise)
            positives.write(str(number), of_success)
            negatives.write(str(number), of_failure)
            number += 1
            recorded = so_far()
            show(recorded.positives, f"{recorded.negatives} negatives, {recorded.episodes} episodes")
    console.print(
        f"{options.out}: {recorded.positives} positive and {recorded.negatives} negative frames of "
        f"{recorded.episodes} episodes",
        highlight=False,
        soft_wrap=True,
    )
    return recorded


def _next_number(positives: FrameWriter, negatives: FrameWriter) -> int:
    """Number of the next episode, or of the last one where it may be incomplete.

    Positives are written first: an episode that has no negatives may have been torn, and is gone through again.
    """
    torn = set(positives.episodes[-1:]) - set(negatives.episodes)
    return len({*positives.episodes, *negatives.episodes} - torn)


def _draw(directory: Path) -> None:
    """A picture of frames of both kinds, spread over everything that was recorded in the directory."""
    groups = {}
    for word, name in (("positive", POSITIVES), ("negative", NEGATIVES)):
        total, frames = spread_frames(directory / name, _SHOWN)
        images = [side_by_side([frame[key] for key in sorted(frame)]) for _, frame in frames]
        groups[f"{len(images)} of {total} {word} frames"] = (images, [f"episode {episode}" for episode, _ in frames])
    draw_montages(groups, directory / PICTURE)


def run_labelled(
    env: gym.Env,
    eyes: PixelObservation,
    expert: Expert,
    label: Label,
    chance: Seeds,
    noise: float,
) -> tuple[list[Frame], list[Frame]]:
    """Run one episode, and return its negative and its positive frames."""
    classes: tuple[list[Frame], list[Frame]] = ([], [])
    generator = chance.generator("noise")
    observation, _ = env.reset(seed=chance.integer("reset"))
    expert.reset(observation)
    ended = False
    while not ended:
        action = expert.act(observation)
        if noise:
            action = (action + generator.normal(0.0, noise, np.shape(action))).astype(action.dtype)
        observation, _, terminated, truncated, info = env.step(action)
        seen = eyes.observation(observation)
        classes[label(info)].append({name: image for name, image in seen.items() if name != STATE})
        ended = bool(terminated or truncated)
    return classes


def success_of(info: Mapping[str, Any]) -> bool:
    """The success that the environment reports.

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
