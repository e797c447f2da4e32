"""The commands that bring in data and weights from elsewhere, and take data out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from rl.agents.continuous.agent_configs import default_agent_config
from rl.cli.command import Command
from rl.interop.options import LeRobotOptions, SerlOptions
from rl.presets import make_preset
from rl.utils.subprocesses import Stop

if TYPE_CHECKING:
    from rich.console import Console

    from rl.data.demos import DemoSummary
    from rl.interop.demo_import import Spaces


@dataclass(frozen=True)
class Target:
    """The environment that the data is for."""

    env: str | None = None
    """Gymnasium id of the environment that will be trained on: the data is fitted to it. Without it the spaces are read
    off the data, and fit an environment with unbounded numbers, images of bytes and actions in [-1, 1]."""
    cell: str | None = None
    """Workcell of that environment."""
    preset: str = "default"
    """Preset of that training, which says how the agent sees the environment."""
    agent: str | None = None
    """Agent of that training, such as `drq`, which sees images; the preset's by default."""
    frame_stack: int | None = None
    """Observations that the agent sees together; the preset's by default."""

    steps_hz: float | None = None
    """Steps per second of that environment; by default what it says itself (`metadata["render_fps"]`), which in
    some is the rate of its pictures."""

    def spaces(self) -> Spaces | None:
        """Return the spaces of that environment.

        Raises:
            ConfigError: there is no such environment, preset or agent, or they do not go together.
        """
        from rl.interop.demo_import import Spaces
        from rl.wrappers.make_env import make_env

        if self.env is None:
            return None
        config = replace(make_preset(self.preset), env=self.env, cell=self.cell)
        if self.agent is not None and self.agent != config.agent_name:
            config = replace(config, agent=default_agent_config(self.agent))
        if self.frame_stack is not None:
            config = replace(config, frame_stack=self.frame_stack)
        with closing(make_env(config.env, config.cell, config.adaptation())) as env:
            steps_hz = self.steps_hz or env.metadata.get("render_fps")
            rate_hz = steps_hz / config.action_repeat if steps_hz else None
            return Spaces(env.observation_space, env.action_space, rate_hz)


@dataclass(frozen=True)
class ImportSerl:
    """Turn the pickled demonstrations of SERL or HIL-SERL into a demonstration file."""

    files: tyro.conf.Positional[tuple[Path, ...]]
    """Pickles, or folders of them. They are read without running what they may contain."""
    out: Path
    """The demonstration file to write; a picture of it, under its name with .png, comes beside it."""
    target: tyro.conf.OmitArgPrefixes[Target] = field(default_factory=Target)
    options: tyro.conf.OmitArgPrefixes[SerlOptions] = field(default_factory=SerlOptions)


def run_import_serl(asked: ImportSerl, stop: Stop) -> None:
    """Run `import serl`."""
    from rich.console import Console
    from rich.progress import Progress

    from rl.interop.serl_pickles import import_serl

    console = Console()
    with Progress(console=console, transient=True) as progress:

        @contextmanager
        def open_with_bar(path: Path) -> Iterator[BufferedReader]:
            raw: Any = progress.open(path, "rb", description=path.name)
            with BufferedReader(raw) as file:
                yield file

        summary = import_serl(asked.files, asked.out, asked.target.spaces(), asked.options, open_with_bar)
    report(summary, asked.out, console)


def report(summary: DemoSummary, path: Path, console: Console) -> None:
    """Print what a demonstration file holds, and draw it beside it."""
    from rl.plots.episode_pictures import draw_demos

    console.print(
        f"{path}: {summary.episodes} episodes, {summary.successes} of them successful, {summary.transitions} "
        f"transitions, mean return {summary.return_mean:.3g}",
        highlight=False,
        soft_wrap=True,
    )
    picture = path.with_suffix(".png")
    draw_demos(path, picture)
    console.print(f"{picture}: its returns, lengths, actions and images", highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Convert:
    """Turn weights of SERL or HIL-SERL into a file of ours.

    What the source holds decides: the public `resnet10_params.pkl` becomes a `.safetensors` file for the encoder
    `resnet-pretrained`; a checkpoint of an agent becomes a run's directory that `evaluate` can read. Agents are SERL's
    for states, and those that see images: SERL's DrQ, and HIL-SERL's with or without a critic for the grippers.
    """

    source: tyro.conf.Positional[Path]
    """A file, or the directory that `save_checkpoint` wrote to, whose newest checkpoint is taken."""
    out: Path
    """The `.safetensors` file, or the directory, to write."""
    sha256: str | None = None
    """Checksum of the source: nothing is read from another file."""
    preset: str = "serl"
    """Settings of the agent that the checkpoint does not tell."""
    env: str | None = None
    """Environment of the agent; the preset's by default."""
    cell: str | None = None
    """Workcell of that environment."""
    activations: str | None = None
    """Activation of the agent's networks; the preset's by default, as in SERL."""
    image_keys: tuple[str, ...] | None = None
    """Cameras of an agent that sees images, in the order of its training's configuration; needed where the checkpoint
    does not tell the order."""


def convert_weights(asked: Convert, stop: Stop) -> None:
    """Run `convert`."""
    import gymnasium as gym
    from rich.console import Console

    from rl.config import TrainConfig
    from rl.interop.convert import ConvertedTrunk, convert
    from rl.wrappers.make_env import make_env

    console = Console()
    config = make_preset(asked.preset)
    if asked.activations is not None:
        config = replace(config, agent=replace(config.agent, activations=asked.activations))
    config = replace(config, env=asked.env or config.env, cell=asked.cell)

    def spaces(found: TrainConfig) -> tuple[gym.Space[Any], gym.Space[Any]]:
        with closing(make_env(found.env, found.cell, found.adaptation())) as env:
            return env.observation_space, env.action_space

    made = convert(asked.source, asked.out, config, asked.sha256, spaces, asked.image_keys)
    if isinstance(made, ConvertedTrunk):
        left_out = f"; left out: {', '.join(made.left_out)}" if made.left_out else ""
        console.print(f"{made.path}: {made.parameters} parameters of the ResNet-10{left_out}", highlight=False)
        console.print(f"SHA-256 {made.sha256}", highlight=False, soft_wrap=True)
        return
    console.print(
        f"{made.directory}: agent after {made.updates} updates, {', '.join((*made.cameras, ''))}{made.observation_dim} "
        f"numbers in, {made.action_dim} out; evaluate it with: robotkit-train evaluate --out {made.directory}",
        highlight=False,
        soft_wrap=True,
    )


@dataclass(frozen=True)
class ExportLeRobot:
    """Turn a demonstration file into a LeRobotDataset, version 3.0."""

    demos: tyro.conf.Positional[Path]
    """The demonstration file."""
    out: Path
    """The dataset's directory, to write."""
    options: tyro.conf.OmitArgPrefixes[LeRobotOptions] = field(default_factory=LeRobotOptions)


def run_export_lerobot(asked: ExportLeRobot, stop: Stop) -> None:
    """Run `export lerobot`."""
    from rich.console import Console

    from rl.interop.lerobot_export import export_lerobot

    console = Console()
    episodes = export_lerobot(asked.demos, asked.out, asked.options)
    console.print(f"{asked.out}: {episodes} episodes", highlight=False)


@dataclass(frozen=True)
class ImportLeRobot:
    """Turn a LeRobotDataset, version 3.0 or 2.1, into a demonstration file."""

    dataset: tyro.conf.Positional[Path]
    """The dataset's directory, the one that holds `meta`."""
    out: Path
    """The demonstration file to write; a picture of it, under its name with .png, comes beside it."""
    target: tyro.conf.OmitArgPrefixes[Target] = field(default_factory=Target)
    final_reward: float | None = None
    """Reward of the last step of every episode, for datasets without rewards, whose every episode is a success."""


def run_import_lerobot(asked: ImportLeRobot, stop: Stop) -> None:
    """Run `import lerobot`."""
    from rich.console import Console

    from rl.interop.lerobot_import import import_lerobot

    console = Console()
    summary = import_lerobot(asked.dataset, asked.out, asked.target.spaces(), asked.final_reward)
    report(summary, asked.out, console)


IMPORT_SERL = Command("turn SERL's pickled demonstrations into a file of ours", ImportSerl, run_import_serl)
CONVERT = Command("turn SERL's weights into a file of ours", Convert, convert_weights)
EXPORT_LEROBOT = Command("turn a demonstration file into a LeRobotDataset", ExportLeRobot, run_export_lerobot)
IMPORT_LEROBOT = Command("turn a LeRobotDataset into a demonstration file", ImportLeRobot, run_import_lerobot)
