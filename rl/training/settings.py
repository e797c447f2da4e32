"""The settings of a training in this process, as keyword arguments and as the configuration of a run."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, Literal, TypedDict

from rl.agents.continuous.drq_config import DrqConfig
from rl.agents.continuous.sac_config import SacConfig
from rl.config import TrainConfig
from rl.errors import ConfigError

Kind = Literal["sac", "drq"]

StrPath = str | PathLike[str]


class Settings(TypedDict, total=False):
    """What `SAC` and `DrQ` take beside the settings of their networks; a step is an action in the environment."""

    batch_size: int
    """Transitions in one critic update; 256 when not given."""
    utd_ratio: int
    """Critic updates for each update of policy and temperature; one such round counts as one update."""
    env_steps_per_update: float
    """Steps for each update."""
    random_steps: int
    """First steps, taken at random."""
    training_starts: int
    """Steps before the first update."""
    action_repeat: int
    """Environment steps that one action lasts."""
    frame_stack: int
    """Newest observations that the agent sees together."""
    image_size: int | None
    """Height and width in pixels that images are scaled to; as the environment gives them by default."""
    image_frames: int | None
    """Newest images of each camera that the agent sees together; as many as `frame_stack` by default."""
    capacity: int
    """Transitions that the replay buffer holds; the oldest go first."""
    n_step: int
    """Rewards summed before bootstrapping."""
    demo_share: float
    """Part of every batch that comes from the demonstrations, when there are any; one half when not given."""
    interventions: int
    """Newest transitions of a human's interventions that join the demonstrations."""
    reward_classifier: StrPath | None
    """Directory of `train-classifier` whose prediction is the only reward and ends the episode."""
    log_every: int
    """Updates between two lines of the metrics."""
    checkpoint_every: int
    """Updates between two checkpoints in `out`; 0 for one at the end of each training."""
    keep_checkpoints: int
    """Newest checkpoints that stay in a directory."""
    tensorboard: bool
    """Write metrics for TensorBoard too, in `out`."""
    wandb_project: str | None
    """Project of Weights & Biases to log to, with `out`."""
    compile: bool
    """Compile the updates: faster after the first minute; without a C++ compiler they stay eager."""


_DEFAULTS: Mapping[Kind, TrainConfig] = {
    "sac": TrainConfig(preset="api", agent="sac", env_steps_per_update=8, compile=False),
    "drq": TrainConfig(preset="api", agent="drq", env_steps_per_update=8, compile=False),
}
_IN_REPLAY = ("capacity", "n_step", "demo_share", "interventions")
_IN_IMAGES = {"image_size": "size", "image_frames": "frames"}


def make_config(
    kind: Kind,
    networks: SacConfig | None,
    env: str,
    seed: int,
    device: str,
    demos: Sequence[StrPath],
    out: Path | None,
    settings: Mapping[str, Any],
) -> TrainConfig:
    """The configuration of a new run.

    Args:
        kind: of the agent.
        networks: its settings; None for the defaults.
        env: Gymnasium id by which the commands make the environment.
        seed: of every draw.
        device: where updates are computed.
        demos: files of demonstrations.
        out: directory of the run.
        settings: those of `Settings`.

    Raises:
        ConfigError: an unknown setting, or values that contradict each other.
    """
    base = replace(_DEFAULTS[kind], env=env, seed=seed, device=device, out=out)
    base = replace(base, replay=replace(base.replay, demos=tuple(map(Path, demos))))
    if isinstance(networks, DrqConfig):
        base = replace(base, drq=networks)
    elif networks is not None:
        base = replace(base, sac=networks)
    config = with_settings(base, settings)
    config.require_demos()
    return config


def with_settings(config: TrainConfig, settings: Mapping[str, Any]) -> TrainConfig:
    """The configuration with some of `Settings` changed.

    Raises:
        ConfigError: an unknown setting, or values that contradict each other.
    """
    for name in settings:
        if name not in Settings.__annotations__:
            close = difflib.get_close_matches(name, Settings.__annotations__, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ConfigError(
                f"there is no setting {name!r}.{hint} Known: {', '.join(Settings.__annotations__)}; networks and "
                "optimizers are set by SacConfig or DrqConfig, the second argument"
            )
    replay = {name: value for name, value in settings.items() if name in _IN_REPLAY}
    images = {_IN_IMAGES[name]: value for name, value in settings.items() if name in _IN_IMAGES}
    rest = {name: value for name, value in settings.items() if name not in (*_IN_REPLAY, *_IN_IMAGES)}
    if rest.get("reward_classifier") is not None:
        rest["reward_classifier"] = Path(rest["reward_classifier"])
    return replace(
        config, replay=replace(config.replay, **replay), images=replace(config.images, **images), **rest
    )  # fmt: skip


def require_kind(config: TrainConfig, kind: Kind, path: Path) -> None:
    """Raise `ConfigError` unless a stored run trains this kind of agent."""
    if config.agent != kind:
        known = {"sac": "rl.SAC.load", "drq": "rl.DrQ.load"}
        how = known.get(config.agent, f"`python -m rl eval --out {path}`")
        raise ConfigError(f"the run at {path} is one of the agent {config.agent!r}, not {kind!r}: use {how}")
