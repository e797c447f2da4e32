"""Small agents for tests: in this process, with networks that are built in milliseconds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from rl import SAC, DrQ, DrqConfig, EncoderConfig, SacConfig

ENV = "tests.support.tiny_env:FollowTarget-v0"
PIXEL_ENV = "tests.support.tiny_pixels:FollowLight-v0"

NETWORKS = SacConfig(critic_ensemble_size=2, critic_subsample_size=None, hidden_dims=(16, 16))
PIXEL_NETWORKS = DrqConfig(
    encoder=EncoderConfig("compact", image_keys=None, bottleneck_dim=8, proprio_latent_dim=8),
    critic_ensemble_size=2,
    critic_subsample_size=None,
    hidden_dims=(16, 16),
    crop_padding=2,
)


def small_sac(env: Any = ENV, **settings: Any) -> SAC:
    """One update for every fourth step, from the 20th on."""
    given = {"batch_size": 16, "utd_ratio": 2, "env_steps_per_update": 4, "random_steps": 20, "training_starts": 20}
    return SAC(env, settings.pop("config", NETWORKS), **(given | {"capacity": 1000} | settings))


def small_drq(env: Any = PIXEL_ENV, **settings: Any) -> DrQ:
    """As `small_sac`, from images."""
    given = {"batch_size": 8, "utd_ratio": 1, "env_steps_per_update": 8, "random_steps": 16, "training_starts": 16}
    return DrQ(env, settings.pop("config", PIXEL_NETWORKS), **(given | {"capacity": 200} | settings))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small networks, and neighbours on the same cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
