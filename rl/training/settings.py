"""The settings of a training in this process, as keyword arguments and as the configuration of a run."""

from __future__ import annotations

import difflib
import numbers
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, Literal, TypedDict

import gymnasium as gym

from rl.agents.continuous.sac_config import SacConfig
from rl.config import TrainConfig, light_config
from rl.errors import ConfigError
from rl.training.run_schedules import decaying_with_run
from rl.training.start_from_demos import starting_from_demos, with_cloned_demos

Kind = Literal["sac", "drq"]

StrPath = str | PathLike[str]
StrPaths = StrPath | Iterable[StrPath]
"""One file, or several: a list, or what a glob finds."""


class Settings(TypedDict, total=False):
    """The settings that `SAC` and `DrQ` take beside the settings of their networks.

    A step is an action in the environment.
    """

    batch_size: int
    """Transitions in one critic update; 256 for SAC and 128 for DrQ when not given."""
    utd_ratio: int
    """Critic updates for each update of policy and temperature, 1 when not given; one such round is one update."""
    env_steps_per_update: float
    """Steps for each update; 1 for SAC and 2 for DrQ when not given."""
    random_steps: int
    """First steps of a run, taken at random; 500 when not given."""
    training_starts: int
    """Steps before the first update; 500 when not given."""
    action_repeat: int
    """Environment steps that one action lasts; 1 when not given."""
    frame_stack: int
    """Newest observations that the agent sees together; 1 when not given."""
    image_size: int | None
    """Height and width in pixels that images are scaled to; as the environment gives them by default."""
    image_frames: int | None
    """Newest images of each camera that the agent sees together; as many as `frame_stack` by default."""
    capacity: int
    """Transitions that the replay buffer holds, the oldest go first; 1 000 000 for SAC and 50 000 for DrQ when not
    given."""
    keep_all: bool
    """Keep every transition of the run on disk, also those that the replay buffer has overwritten."""
    n_step: int
    """Rewards summed before bootstrapping; 1 when not given."""
    demo_share: float
    """Part of every batch that comes from the demonstrations, when there are any; one half when not given."""
    interventions: int
    """Newest transitions of a human's interventions that join the demonstrations."""
    base: StrPath | None
    """Frozen policy whose actions the agent corrects, as `robotkit-train train --base` names it."""
    from_demos: StrPaths
    """Files of demonstrations that are cloned into such a policy first, in seconds, and then learned from. Unless they
    are given, `random_steps` is 0, and the settings of the networks are `SacConfig.correcting_a_clone()`."""
    residual_scale: float | Sequence[float]
    """Largest correction of the base's action, in units of [-1, 1], for all its numbers or for each; 0.2 when not
    given."""
    reward_classifier: StrPath | None
    """Directory of `robotkit-train classifier` whose prediction is the only reward and ends the episode."""
    positive_frames: int
    """Frames in a row that pass for success before it pays; 2 when not given."""
    hold_s: float
    """Seconds that these frames must last; 0 when not given."""
    allow_chance: bool
    """Take a classifier whose held-out figures are no better than chance."""
    log_every: int
    """Updates between two lines of the metrics in `out`; 50 when not given."""
    checkpoint_every: int
    """Updates between two checkpoints in `out`, 1000 when not given; 0 for one at the end of each training alone."""
    keep_checkpoints: int
    """Newest checkpoints that stay in a directory; 3 when not given."""
    tensorboard: bool
    """Write metrics for TensorBoard too, in `out`."""
    wandb_project: str | None
    """Project of Weights & Biases to log to, with `out`."""
    compile: bool
    """Compile the updates, which is not done when not given: the first ones take a minute, the others are faster."""


_CLASSES: Mapping[Kind, tuple[str, str]] = {"sac": ("SAC", "SacConfig"), "drq": ("DrQ", "DrqConfig")}
"""Classes by kind: that of the agent, and that of its settings."""
_TYPES: Mapping[str, tuple[type, str]] = {
    "int": (numbers.Integral, "a whole number"),
    "float": (numbers.Real, "a number"),
    "bool": (bool, "True or False"),
}
"""Types and their words, by annotation of a setting: what its value has to be."""
_IN_REPLAY = ("capacity", "keep_all", "n_step", "demo_share", "interventions")
_IN_CLASSIFIER = ("positive_frames", "hold_s", "allow_chance")
_IN_IMAGES = {"image_size": "size", "image_frames": "frames"}


def require_env_first(kind: Kind, env: Any, networks: Any) -> None:
    """Raise `ConfigError` for a call in the order of other libraries: the name of a policy, then the environment."""
    names_policy = isinstance(env, str) and env.endswith("Policy")
    if names_policy or isinstance(networks, (str, gym.Env)):
        agent, config = _CLASSES[kind]
        raise ConfigError(
            f"{agent} takes the environment first and no name of a policy: {agent}(env), or {agent}(env, "
            f"config={config}(hidden_dims=(256, 256))) to choose the networks. rl.SAC learns from vectors, rl.DrQ from "
            f"images. The first argument was {env!r}, the second {networks!r}"
        )


def make_config(
    kind: Kind,
    networks: SacConfig | None,
    env: str,
    seed: int,
    device: str,
    demos: StrPaths,
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
    try:
        seed = operator.index(seed)  # numpy's is no JSON
    except TypeError:
        raise ConfigError(f"the seed must be a whole number, not {seed!r}") from None
    if seed < 0:
        raise ConfigError(f"the seed must be at least 0, not {seed}")
    base = replace(light_config(kind), preset="api", compile=False, env=env, seed=seed, device=device, out=out)
    base = replace(base, replay=replace(base.replay, demos=paths_of("demos", demos)))
    if networks is not None:
        wanted = type(base.agent)
        if type(networks) is not wanted:
            raise ConfigError(f"the second argument must be a {wanted.__name__}, not {networks!r}")
        if endless := decaying_with_run(networks):
            raise ConfigError(
                f'{endless[0]} has cosine_decay_steps="run", and train() may be called again and again: give a number '
                "of steps"
            )
        base = replace(base, agent=networks)
    if (files := settings.get("from_demos")) is not None:
        settings = {**settings, "from_demos": paths_of("from_demos", files)}
    if settings.get("from_demos"):
        begun = starting_from_demos(base)
        base = begun if networks is None else replace(begun, agent=networks)
    config = with_cloned_demos(with_settings(base, settings))
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
        _require_type(name, settings[name])
    replay = {name: value for name, value in settings.items() if name in _IN_REPLAY}
    images = {_IN_IMAGES[name]: value for name, value in settings.items() if name in _IN_IMAGES}
    pays = {name: value for name, value in settings.items() if name in _IN_CLASSIFIER}
    grouped = (*_IN_REPLAY, *_IN_IMAGES, *_IN_CLASSIFIER)
    rest = {name: value for name, value in settings.items() if name not in grouped}
    if rest.get("base") is not None:
        rest["base"] = str(_require_path("base", rest["base"]))  # a Path would spoil ws://
    if (files := rest.pop("from_demos", None)) is not None:
        rest["from_demos"] = paths_of("from_demos", files)
    if (scale := rest.pop("residual_scale", None)) is not None:
        rest["residual"] = replace(config.residual, scale=_scales_of("residual_scale", scale))
    if rest.get("reward_classifier") is not None:
        rest["reward_classifier"] = Path(_require_path("reward_classifier", rest["reward_classifier"]))
    changed = replace(
        config,
        replay=replace(config.replay, **replay),
        images=replace(config.images, **images),
        classifier=replace(config.classifier, **pays),
        **rest,
    )
    changed.require_first_batch()
    return changed


def paths_of(name: str, value: StrPaths) -> tuple[Path, ...]:
    """The files that a setting names: one, or several in a row.

    Raises:
        ConfigError: it is something else.
    """
    if isinstance(value, (str, PathLike)):
        return (Path(value),)
    if isinstance(value, Iterable) and not isinstance(value, (bytes, Mapping)):
        files = list(value)
        if all(isinstance(file, (str, PathLike)) for file in files):
            return tuple(map(Path, files))
    raise ConfigError(f"{name} must be the path of a file or a list of paths, not {value!r}")


def _require_path(name: str, value: StrPath) -> StrPath:
    if not isinstance(value, (str, PathLike)):
        raise ConfigError(f"{name} must be a path, not {value!r}")
    return value


def _scales_of(name: str, value: float | Sequence[float]) -> tuple[float, ...]:
    scales = [value] if isinstance(value, numbers.Real) else list(value) if isinstance(value, Iterable) else []
    if not scales or not all(isinstance(one, numbers.Real) and not isinstance(one, bool) for one in scales):
        raise ConfigError(f"{name} must be a number, or one for each number of an action, not {value!r}")
    return tuple(map(float, scales))


def _require_type(name: str, value: Any) -> None:
    written = Settings.__annotations__[name].__forward_arg__
    kind, _, or_none = written.partition(" | ")
    if kind not in _TYPES or or_none not in ("", "None"):
        return  # read where it is used
    wanted, words = _TYPES[kind]
    is_number_of_bool = isinstance(value, bool) and wanted is not bool
    if (value is None and or_none) or (isinstance(value, wanted) and not is_number_of_bool):
        return
    raise ConfigError(f"{name} must be {words}{' or None' if or_none else ''}, not {value!r}")


def require_kind(config: TrainConfig, kind: Kind, path: Path) -> None:
    """Raise `ConfigError` unless a stored run trains this kind of agent."""
    name = config.agent_name
    if name != kind:
        known = {"sac": "rl.SAC.load", "drq": "rl.DrQ.load"}
        how = known.get(name, f"`robotkit-train evaluate --out {path}`")
        raise ConfigError(f"the run at {path} is one of the agent {name!r}, not {kind!r}: use {how}")
