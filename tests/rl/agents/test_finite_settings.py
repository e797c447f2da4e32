"""Settings of agents that are no finite numbers, or out of their range, are refused where they are set."""

from __future__ import annotations

import math
from typing import Any

import pytest

from rl.agents.continuous.sac_config import SacConfig
from rl.agents.continuous.vice_config import ViceConfig
from rl.errors import ConfigError


@pytest.mark.parametrize("value", [math.inf, math.nan, -1.0])
@pytest.mark.parametrize("name", ["std_max", "temperature_init"])
def test_settings_of_sac_are_positive_and_finite(name: str, value: Any):
    with pytest.raises(ConfigError, match=name):
        SacConfig(**{name: value})


@pytest.mark.parametrize("value", [math.inf, math.nan, -0.1])
@pytest.mark.parametrize("name", ["vice_dropout_rate", "label_smoothing", "gradient_penalty", "reward_threshold"])
def test_settings_of_vice_are_finite_and_in_their_range(name: str, value: Any):
    with pytest.raises(ConfigError, match=name):
        ViceConfig(**{name: value})
    ViceConfig(**{name: 0.0})
