"""Small pixel agents and batches for the tests of the pixel agents."""

import numpy as np
import torch
from torch import Generator

from rl.agents.continuous.drq import DrQAgent, DrqConfig, make_drq_modules, shape_pixel_modules
from rl.common.encoders import EncoderConfig, pretrained_heads
from rl.common.encoding import EncodingWrapper
from rl.common.optimizers import OptimizerConfig
from rl.nn.layers import init_parameters
from rl.vision.resnet_v1 import resnetv1_configs
from rl.vision.small_encoders import SmallEncoder

CAMERAS = ("front", "wrist")
FRAMES, STATE, SIDE, ACTION = 2, 4, 20, 3
FAST = OptimizerConfig(3e-3)
SMALL = DrqConfig(
    encoder=EncoderConfig(image_keys=CAMERAS, num_spatial_blocks=2, bottleneck_dim=8, proprio_latent_dim=6),
    critic_ensemble_size=4,
    hidden_dims=(16, 16),
    actor_optimizer=FAST,
    critic_optimizer=FAST,
    temperature_optimizer=FAST,
)
FROZEN = "frozen"
TRAINED = "trained"


def tiny_trunk():
    return resnetv1_configs["resnetv1-10-frozen"](num_filters=4)


def tiny_encoder(kind, config):
    """Two cameras with learned embeddings, whose dropout is active in the policy; `kind` FROZEN or TRAINED."""
    if kind == FROZEN:
        encoders = pretrained_heads(config.encoder, tiny_trunk())
    else:
        pooling = "spatial_learned_embeddings"
        encoders = {key: SmallEncoder((4, 6), (3, 3), (2, 2), "VALID", pooling, 8, 2) for key in CAMERAS}
    return EncodingWrapper(encoders, True, 6, enable_stacking=True, image_keys=CAMERAS)


def make_batch(size, seed=0, packed=False):
    generator = Generator().manual_seed(seed)

    def images(frames):
        return torch.randint(256, (size, frames, SIDE, SIDE, 3), generator=generator, dtype=torch.uint8)

    def states():
        return torch.randn(size, FRAMES, STATE, generator=generator)

    runs = {key: images(FRAMES + 1) for key in CAMERAS}
    now = runs if packed else {key: run[:, :-1] for key, run in runs.items()}
    then = {} if packed else {key: run[:, 1:] for key, run in runs.items()}
    return {
        "observations": {"state": states(), **now},
        "next_observations": {"state": states(), **then},
        "actions": torch.rand(size, ACTION, generator=generator) * 1.8 - 0.9,
        "rewards": torch.randn(size, generator=generator),
        "masks": (torch.rand(size, generator=generator) > 0.2).float(),
    }


def observation(batch=(), seed=0):
    random = np.random.default_rng(seed)
    cameras = {key: random.integers(256, size=(*batch, FRAMES, SIDE, SIDE, 3), dtype=np.uint8) for key in CAMERAS}
    return cameras | {"state": random.normal(size=(*batch, FRAMES, STATE)).astype(np.float32)}


def sample():
    return {key: torch.from_numpy(value) for key, value in observation().items()}


def make_drq(kind=TRAINED, seed=0, config=SMALL):
    modules = make_drq_modules(tiny_encoder(kind, config), ACTION, config)
    shape_pixel_modules(modules, sample(), ACTION)
    init_parameters(modules, Generator().manual_seed(seed))
    return DrQAgent(modules, config, action_dim=ACTION, seed=seed, device=torch.device("cpu"))


def parameters(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def moved(before, module):
    """Names of the parameters that are no longer what they were."""
    return {name for name, value in module.state_dict().items() if not torch.equal(value, before[name])}


def assert_same(one, other, **tolerance):
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], **tolerance or {"rtol": 0, "atol": 0})
