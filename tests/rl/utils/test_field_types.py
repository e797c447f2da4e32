"""Settings of another type than their field are refused where they are set, by the field's name."""

from __future__ import annotations

import numpy as np
import pytest

from rl import DrqConfig, SacConfig
from rl.common.encoder_config import EncoderConfig
from rl.common.optimizer_config import OptimizerConfig
from rl.errors import ConfigError


@pytest.mark.parametrize(
    ("kind", "field", "value", "said"),
    [
        (SacConfig, "discount", "a", "discount must be a number, not 'a'"),
        (SacConfig, "hidden_dims", 3, "hidden_dims must be a tuple, each of it a whole number, not 3"),
        (
            SacConfig,
            "hidden_dims",
            [32, "a"],
            r"hidden_dims must be a tuple, each of it a whole number, not \[32, 'a'\]",
        ),
        (SacConfig, "critic_ensemble_size", 2.5, "critic_ensemble_size must be a whole number, not 2.5"),
        (SacConfig, "critic_ensemble_size", True, "critic_ensemble_size must be a whole number, not True"),
        (SacConfig, "use_layer_norm", "no", "use_layer_norm must be True or False, not 'no'"),
        (SacConfig, "actor_optimizer", 3e-4, r"actor_optimizer must be OptimizerConfig\(…\)"),
        (DrqConfig, "encoder", "small", r"encoder must be EncoderConfig\(…\), not 'small'"),
        (OptimizerConfig, "warmup_steps", None, "warmup_steps must be a whole number, not None"),
        (EncoderConfig, "image_keys", "front", "image_keys must be a tuple, each of it a string or None, not 'front'"),
    ],
)
def test_a_value_of_another_type_is_refused(kind, field, value, said):
    with pytest.raises(ConfigError, match=said):
        kind(**{field: value})


def test_lists_and_numpys_numbers_are_taken_as_what_they_stand_for():
    config = SacConfig(hidden_dims=[8, 8], discount=np.float32(0.5), critic_ensemble_size=np.int64(3))
    assert (config.hidden_dims, config.discount, config.critic_ensemble_size) == ((8, 8), 0.5, 3)
    assert (type(config.discount), type(config.critic_ensemble_size)) == (float, int)
    assert config == SacConfig(hidden_dims=(8, 8), discount=0.5, critic_ensemble_size=3)
