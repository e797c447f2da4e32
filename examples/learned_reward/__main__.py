"""`python -m examples.learned_reward`: frames, classifier, demonstrations, training, evaluation, in one command."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console

from rl.cli.demonstration.learner_command import run_command

ENV = "envs:PandaPickCubeVision-v0"
PRESET = "drq-classifier"
EXPERT = "envs.experts.tracker:pick_cube"
HERE = "examples.learned_reward.experts"
RECORDINGS = (
    ("--expert", EXPERT, "--episodes", "60", "--seed", "1"),
    ("--expert", EXPERT, "--episodes", "40", "--seed", "2", "--noise", "0.15"),
    ("--expert", EXPERT, "--episodes", "40", "--seed", "3", "--noise", "0.3"),
    ("--expert", f"{HERE}:wander", "--episodes", "60", "--seed", "4"),
    ("--expert", f"{HERE}:carry", "--episodes", "120", "--seed", "5"),
)
"""Recordings for the classifier: successes, attempts that fail, and motions that a beginner makes and no expert."""
LOOK = ("--frame-stack", "3", "--sees-images", "--images.size", "64", "--images.frames", "1")
"""How the preset's policy sees the environment."""


@dataclass(frozen=True)
class LearnedReward:
    """A simulated arm learns to pick up a cube from images, paid by nothing but a classifier of images."""

    out: Path
    """Directory for everything that is made; must not be there yet."""
    reward_classifier: Path | None = None
    """A trained classifier, as of an earlier run; by default one is trained first."""
    seed: int = 0
    """Seed of demonstrations and training."""
    steps: int | None = None
    """Environment steps; the preset's number by default."""
    demonstrations: int = 40
    """Scripted episodes to record; the classifier says when each of them has succeeded."""
    episodes: int = 50
    """Episodes of the final evaluation."""


def commands(asked: LearnedReward) -> Iterator[tuple[str, ...]]:
    """The options of `robotkit-train`, one command after another."""
    frames, demos, run = asked.out / "frames", asked.out / "demonstrations.sqlite", asked.out / "run"
    classifier = asked.reward_classifier or asked.out / "classifier"
    if asked.reward_classifier is None:
        for recording in RECORDINGS:
            sizes = ("--image-size", "64", "--positives", "100000")
            yield ("record", "success", "--env", ENV, "--out", str(frames), *sizes, *recording)
        files = ("--positives", str(frames / "positives.sqlite"), "--negatives", str(frames / "negatives.sqlite"))
        fit = ("--epochs", "16", "--learning-rate", "7e-4", "--crop-padding", "2", "--most-false-positives", "0.001")
        yield ("classifier", *files, "--out", str(classifier), "--encoder.encoder-type", "compact", *fit)
    reward = ("--reward-classifier", str(classifier))
    seed = ("--seed", str(asked.seed))
    count = ("--episodes", str(asked.demonstrations))
    yield ("record", "demos", "--env", ENV, "--expert", EXPERT, *count, *LOOK, *reward, *seed, "--out", str(demos))
    steps = () if asked.steps is None else ("--steps", str(asked.steps))
    yield ("train", "--preset", PRESET, *reward, "--replay.demos", str(demos), *seed, *steps, "--out", str(run))
    yield ("evaluate", "--out", str(run), "--seed", "100", "--episodes", str(asked.episodes))


def main() -> None:
    """Entry point of `python -m examples.learned_reward`."""
    asked = tyro.cli(LearnedReward, prog="python -m examples.learned_reward")
    if asked.out.exists():
        raise SystemExit(f"error: {asked.out} exists already: choose another --out, or delete it")
    asked.out.mkdir(parents=True)
    console = Console()
    for words in commands(asked):
        console.print(f"robotkit-train {' '.join(words)}", style="bold", highlight=False, soft_wrap=True)
        if status := run_command(*words):
            raise SystemExit(status)


if __name__ == "__main__":
    main()
