"""The settings of every agent as one union, told apart by the name that `--agent` takes."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, Discriminator, SerializerFunctionWrapHandler, Tag, WrapSerializer

from rl.agents.continuous.drq_config import DrqConfig
from rl.agents.continuous.sac_config import SacConfig
from rl.agents.continuous.sac_hybrid_config import DualArmConfig, SingleArmConfig
from rl.agents.continuous.vice_config import ViceConfig
from rl.common.encoder_config import EncoderConfig
from rl.common.optimizer_config import OptimizerConfig
from rl.errors import ConfigError

_STEADY = OptimizerConfig(3e-4)

AGENT_CONFIGS: Mapping[str, type[SacConfig]] = {
    "sac": SacConfig,
    "drq": DrqConfig,
    "vice": ViceConfig,
    "hybrid-single": SingleArmConfig,
    "hybrid-dual": DualArmConfig,
}


def agent_name(config: SacConfig) -> str:
    """The name of the agent that these are the settings of."""
    return next(name for name, kind in AGENT_CONFIGS.items() if kind is type(config))


def default_agent_config(name: str) -> AgentConfig:
    """The settings that a run of this agent starts from: SERL's, on all cameras that the environment has.

    Raises:
        ConfigError: no agent has this name.
    """
    if name not in AGENT_CONFIGS:
        close = difflib.get_close_matches(name, AGENT_CONFIGS, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ConfigError(f"no agent is named {name!r}.{hint} Known: {', '.join(AGENT_CONFIGS)}")
    kind = AGENT_CONFIGS[name]
    return kind(encoder=EncoderConfig(image_keys=None)) if issubclass(kind, DrqConfig) else kind()


def light_agent_config(name: str) -> AgentConfig:
    """Settings that learn soon on a few cores: two critics and rates that do not change; images are seen by `compact`.

    Raises:
        ConfigError: no agent has this name.
    """
    config = replace(default_agent_config(name), critic_ensemble_size=2, critic_subsample_size=None, activations="relu")
    if isinstance(config, DrqConfig):
        return replace(config, encoder=EncoderConfig("compact", image_keys=None))
    return replace(config, actor_optimizer=_STEADY, critic_optimizer=_STEADY)


def _stored_name(stored: Any) -> str:
    return str(stored.get("name", "sac")) if isinstance(stored, dict) else agent_name(stored)


def _without_name(stored: Any) -> Any:
    return {key: value for key, value in stored.items() if key != "name"} if isinstance(stored, dict) else stored


def _with_name(config: SacConfig, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
    return {"name": agent_name(config), **dump(config)}


_Unnamed = BeforeValidator(_without_name)

AgentConfig: TypeAlias = Annotated[
    Annotated[SacConfig, _Unnamed, Tag("sac")]
    | Annotated[DrqConfig, _Unnamed, Tag("drq")]
    | Annotated[ViceConfig, _Unnamed, Tag("vice")]
    | Annotated[SingleArmConfig, _Unnamed, Tag("hybrid-single")]
    | Annotated[DualArmConfig, _Unnamed, Tag("hybrid-dual")],
    Discriminator(_stored_name),
    WrapSerializer(_with_name),
]
"""The settings of one agent; in a file its `name` stands beside them."""
