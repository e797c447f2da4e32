"""The variants of the learning benchmark: a preset each, with the options that differ from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, TypeVar

from benchmarks.learning.peers.packages import find_pins
from benchmarks.learning.tasks import Task
from rl.agents.continuous.agent_configs import default_agent_config
from rl.config import TrainConfig, config_facts
from rl.errors import ConfigError
from rl.presets import make_preset

ConfigT = TypeVar("ConfigT")

OWN_RUNNER = "benchmarks.learning.runner:run"

_SMALL = {
    "agent.hidden_dims": (16,),
    "batch_size": 16,
    "utd_ratio": 1,
    "replay.n_step": 3,
    "random_steps": 20,
    "training_starts": 20,
}

_SB3_OPTIONS = {"gamma": 0.97, "frame_stack": 3}
_SBX_RUNNER = "benchmarks.learning.peers.sbx:run"
_SB3_RUNNER = "benchmarks.learning.peers.sb3:run"
_SB3, _SB3_CONTRIB = ("stable-baselines3",), ("stable-baselines3", "sb3-contrib")
_SBX = (*_SB3, "sbx-rl", "jax")
_IBRL = {"agent.proposal.acts": True, "agent.proposal.bootstraps": True}
"""A cloned policy beside the trained one, as in its paper."""
_PROPOSAL = {**_IBRL, "agent.proposal.margin": 1.0}
"""The same, where the trained policy's action must be valued higher by the largest reward of a step."""

_STEADY_RESIDUAL = {
    "base": "clone",
    "random_steps": 0,
    "agent.standardises_inputs": True,
    "agent.actor_starts_after": 1000,
    "agent.mode_penalty": 3.0,
}
"""A correction of a clone, which critics that have learned before have to draw away from 0."""

_LITE0 = {
    "agent.encoder.encoder_type": "efficientnet-lite0",
    "agent.cached_features": "float16",
    "agent.cached_shifts": 4,
}
"""A frozen network that has learned from photographs, and kept features of four shifts of each image."""

_WITHOUT_EFFECT = (
    "out", "actors", "max_lead", "publish_every", "log_every", "checkpoint_every", "keep_checkpoints", "tensorboard",
    "wandb_project", "evaluation", "link",
)  # fmt: skip
"""Settings of processes and of files, which a run in one process that writes none does not use."""


@dataclass(frozen=True)
class Variant:
    """A way to learn."""

    preset: str
    """Name in `rl.presets`; the runner of another library may give it another meaning."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Values that differ from the preset's, by the names of the command line: `replay.n_step`."""
    runner: str = OWN_RUNNER
    """Function that trains, `module:function`: it takes a `RunSpec` and returns its evaluations."""
    packages: tuple[str, ...] = ()
    """Packages that the runner of another library needs, by their names in `peers/requirements.txt`."""

    def settings(self, task: Task, seed: int, steps: int) -> dict[str, Any]:
        """All settings that the result of a run depends on, as plain values.

        Raises:
            ConfigError: such a run cannot be made.
        """
        if self.runner != OWN_RUNNER:
            facts = {"runner": self.runner, "preset": self.preset, "packages": find_pins(self.packages)}
            return {**facts, "seed": seed, "steps": steps, **self.options}
        settings = config_facts(make_config(self, task, seed, steps))
        return {name: value for name, value in settings.items() if name not in _WITHOUT_EFFECT}


def _steady_but(*left_out: str) -> dict[str, Any]:
    """The steady residual with some of its options as the preset has them."""
    return {name: value for name, value in _STEADY_RESIDUAL.items() if name not in left_out}


VARIANTS: Mapping[str, Variant] = {
    "demo": Variant("demo"),
    "demo-standardised": Variant("demo", {"agent.standardises_inputs": True}),
    "serl": Variant("serl", {"env_steps_per_update": 4}),
    "sb3-sac": Variant("SAC", _SB3_OPTIONS, _SB3_RUNNER, _SB3),
    "sb3-tqc": Variant("TQC", _SB3_OPTIONS, _SB3_RUNNER, _SB3_CONTRIB),
    "sb3-crossq": Variant("CrossQ", _SB3_OPTIONS, _SB3_RUNNER, _SB3_CONTRIB),
    "sbx-sac": Variant("SAC", _SB3_OPTIONS, _SBX_RUNNER, _SBX),
    "sbx-crossq": Variant("CrossQ", _SB3_OPTIONS, _SBX_RUNNER, _SBX),
    "demo-ibrl": Variant("demo", _IBRL),
    "demo-residual": Variant("demo", {"base": "clone"}),
    "demo-residual-steady": Variant("demo", _STEADY_RESIDUAL),
    "demo-residual-unpenalised": Variant("demo", _steady_but("agent.mode_penalty")),
    "demo-residual-at-once": Variant("demo", _steady_but("agent.actor_starts_after")),
    "demo-residual-raw-inputs": Variant("demo", _steady_but("agent.standardises_inputs")),
    "demo-residual-random-steps": Variant("demo", _steady_but("random_steps")),
    "hil": Variant("hil"),
    "hil-residual-steady": Variant("hil", _STEADY_RESIDUAL),
    "demo-proposal": Variant("demo", _PROPOSAL),
    "demo-proposal-standardised": Variant("demo", {**_PROPOSAL, "agent.standardises_inputs": True}),
    "drq-demo": Variant("drq-demo"),
    "drq-demo-residual-steady": Variant("drq-demo", _STEADY_RESIDUAL),
    "drq-demo-residual-wide": Variant("drq-demo", {**_steady_but("agent.mode_penalty"), "residual.scale": (0.5,)}),
    "drq-demo-lite0": Variant("drq-demo", _LITE0),
    "small": Variant("demo", _SMALL),
    "small-standardised": Variant("demo", {**_SMALL, "agent.standardises_inputs": True}),
}
"""Variants by their names."""


def completed(training: Mapping[str, Any]) -> dict[str, Any]:
    """Recorded settings of a run, with the options that have come since at their defaults, which change nothing."""
    if "agent" not in training:
        return dict(training)  # of another library
    agent = default_agent_config(training["agent"]["name"])
    return _merged(config_facts(TrainConfig(agent=agent)), training, _WITHOUT_EFFECT)


def _merged(defaults: Mapping[str, Any], given: Mapping[str, Any], left_out: Sequence[str] = ()) -> dict[str, Any]:
    """Nested values, each the given one where there is one."""
    found: dict[str, Any] = {name: value for name, value in defaults.items() if name not in left_out} | dict(given)
    both = [name for name in given if isinstance(given[name], Mapping) and isinstance(defaults.get(name), Mapping)]
    return found | {name: _merged(defaults[name], given[name]) for name in both}


def make_config(variant: Variant, task: Task, seed: int, steps: int) -> TrainConfig:
    """The configuration of a run, its demonstrations left out.

    Updates are not compiled, so that CPU-seconds do not depend on what a compiler has kept from before.

    Raises:
        ConfigError: there is no such preset or option, a value is out of range, or updates do not follow steps.
    """
    preset = replace(make_preset(variant.preset), max_lead=None, compile=False, learner_threads=1)
    config = replace(preset, env=task.env, seed=seed, steps=steps)
    for name, value in variant.options.items():
        config = with_option(config, name, value)
    if config.env_steps_per_update is None:
        raise ConfigError(
            f"the preset {variant.preset!r} updates as fast as it can, and here actor and learner take turns: add "
            "env_steps_per_update, the steps for each update, to the options of the variant"
        )
    config.require_steps()
    return config


def with_option(config: ConfigT, name: str, value: Any) -> ConfigT:
    """A configuration with one value changed.

    Args:
        config: a frozen dataclass, which may hold others.
        name: of a field, after those of the dataclasses around it: `replay.n_step`.
        value: its new value.

    Raises:
        ConfigError: there is no such field.
    """
    first, _, rest = name.partition(".")
    assert is_dataclass(config)
    assert not isinstance(config, type)
    known = [field.name for field in fields(config)]
    if first not in known:
        raise ConfigError(f"{type(config).__name__} has no option {first!r}; known: {', '.join(known)}")
    changed: ConfigT = replace(config, **{first: with_option(getattr(config, first), rest, value) if rest else value})
    return changed
