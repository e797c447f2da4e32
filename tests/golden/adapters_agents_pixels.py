"""Adapters of the pixel agents: DrQ, BC and VICE with recorded noise, and the launcher's full-size networks."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rl.agents.continuous.augmentation import Crops
from rl.agents.continuous.bc import BCAgent, BcConfig, make_bc_module
from rl.agents.continuous.drq import DrQAgent, DrqConfig, make_drq_modules, shape_pixel_modules
from rl.agents.continuous.sac_losses import SacNoise
from rl.agents.continuous.vice import VICEAgent, ViceConfig, ViceNoise
from rl.agents.launcher import make_drq_agent
from rl.common.encoders import EncoderConfig
from rl.common.encoding import EncodingWrapper
from rl.common.optimizers import OptimizerConfig
from rl.networks.classifier import BinaryClassifier
from rl.networks.mlp import MLP
from rl.nn.flax_params import load_flax_params, to_flax_params
from rl.nn.layers import materialise
from rl.vision.pooling import PooledEncoder
from rl.vision.resnet_v1 import PreTrainedResNetEncoder, resnetv1_configs
from rl.vision.small_encoders import SmallEncoder
from tests.golden.adapters_sac import assert_state
from tests.golden.adapters_vision import nested
from tests.golden.serl import Fixture, adapter

Params = Mapping[str, np.ndarray]
ENCODER = "modules_actor/encoder"

STATE_RTOL = 5e-5
"""Where a gradient is all but 0, Adam's first step is its rounding error over itself: the original compiled and not
compiled differs by as much (`verified_max_abs_diff` in the manifest)."""


def numbered(params: Params, scope: str, name: str) -> list[np.ndarray]:
    """`scope/name_0/kernel`, `scope/name_1/kernel`, ..."""
    count = sum(path.startswith(f"{scope}/{name}_") and path.endswith("/kernel") for path in params)
    return [params[f"{scope}/{name}_{index}/kernel"] for index in range(count)]


def small_encoder(params: Params, scope: str) -> SmallEncoder:
    """The small encoder that the recorded parameters belong to."""
    kernels = numbered(params, scope, "Conv")
    embeddings = params.get(f"{scope}/SpatialLearnedEmbeddings_0/kernel")
    return SmallEncoder(
        [kernel.shape[-1] for kernel in kernels],
        [kernel.shape[0] for kernel in kernels],
        [2] * len(kernels),
        "VALID",
        "avg" if embeddings is None else "spatial_learned_embeddings",
        params[f"{scope}/Dense_0/kernel"].shape[-1],
        1 if embeddings is None else embeddings.shape[-1],
    )


def wrapper(params: Params, encoders: Mapping[str, PooledEncoder]) -> EncodingWrapper:
    latent = params[f"{ENCODER}/Dense_0/kernel"].shape[-1]
    return EncodingWrapper(encoders, True, latent, enable_stacking=True, image_keys=tuple(encoders))


def cameras(batch: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(sorted(key for key in batch["observations"] if key != "state"))


def batch_of(fixture: Fixture, step: str) -> dict[str, Any]:
    return nested(fixture.tensors(step, "batch"))


def sample_of(batch: Mapping[str, Any]) -> dict[str, Tensor]:
    """One observation of a batch, which may be packed with the next one's images."""
    observations = batch["observations"]
    frames = observations["state"].shape[1]
    return {key: value[0, :frames] for key, value in observations.items()}


def drq_agent(fixture: Fixture) -> DrQAgent:
    """An agent in the original's mode at the recorded initial state."""
    params, batch = fixture.below("init", "params"), batch_of(fixture, "step0")
    rates = {
        f"{name}_optimizer": OptimizerConfig(float(fixture.arrays[f"step0/info/{name}_lr"]))
        for name in ("actor", "critic", "temperature")
    }
    settings = {k: v for k, v in fixture.entry["config"].items() if k in DrqConfig.__dataclass_fields__}
    hidden = tuple(kernel.shape[-1] for kernel in numbered(params, "modules_actor/network", "Dense"))
    config = DrqConfig(**settings, **rates, hidden_dims=hidden).as_in_serl()
    encoders = {key: small_encoder(params, f"{ENCODER}/encoder_{key}") for key in fixture.entry["config"]["image_keys"]}
    action_dim = batch["actions"].shape[-1]
    modules = make_drq_modules(wrapper(params, encoders), action_dim, config)
    shape_pixel_modules(modules, sample_of(batch), action_dim)
    load_flax_params(modules, params)
    agent = DrQAgent(modules, config, action_dim=action_dim, seed=0, device=torch.device("cpu"))
    load_flax_params(agent.state.targets, fixture.below("init", "target_params"))
    return agent


def loss_draws(fixture: Fixture, step: str) -> list[tuple[tuple[Tensor, ...], Tensor, Tensor | None]]:
    """Dropout masks, normal noise and ensemble indices of each loss, in the order of their execution."""
    found: list[tuple[tuple[Tensor, ...], Tensor, Tensor | None]] = []
    masks: list[Tensor] = []
    for key, value in sorted(fixture.tensors(step, "noise").items()):
        match key.rpartition("_")[2]:
            case "bernoulli":
                masks.append(value)
            case "normal":
                found.append((tuple(masks), value, None))
                masks = []
            case "randint":
                found[-1] = (*found[-1][:2], value.long())
    return found


def noise_of(fixture: Fixture, index: int) -> SacNoise:
    draws = loss_draws(fixture, f"step{index}")
    nothing = ((), torch.empty(0), None)
    if fixture.entry["steps"][index]["kind"] == "update_critics":
        (keep, eps, idx), actor, temperature = draws[0], nothing, nothing
    else:
        *critics, actor, temperature = draws
        keep = tuple(torch.stack(masks) for masks in zip(*(draw[0] for draw in critics), strict=True))
        eps = torch.stack([draw[1] for draw in critics])
        indices = [draw[2] for draw in critics if draw[2] is not None]
        idx = torch.stack(indices) if indices else None
    return SacNoise(actor[1], eps, idx, temperature[1], actor[0], keep, temperature[0])


def crops_of(fixture: Fixture, step: str, agent: DrQAgent, batch: Mapping[str, Any]) -> Crops:
    """The recorded offsets, one per frame and the same for all cameras."""
    frames = batch["observations"]["state"].shape[1]
    noise = fixture.tensors(step, "noise")
    drawn = (noise[name].long().unflatten(0, (-1, frames)) for name in ("crop_obs", "crop_next_obs"))
    return Crops(*(dict.fromkeys(agent.image_keys, corners) for corners in drawn))


def check_samples(fixture: Fixture, agent: DrQAgent) -> None:
    """Actions of the first parameters for one observation."""
    observation = fixture.below("sample", "in")
    fixture.assert_close(agent.sample_actions(observation, argmax=True), "sample/out_argmax")
    distribution = agent.state.modules["actor"](fixture.tensors("sample", "in"))
    fixture.assert_close(distribution.sample(fixture.tensors("sample", "noise")["eps"]), "sample/out_stochastic")


@adapter("agents.continuous.drq.DrQAgent")
def check_drq(fixture: Fixture) -> None:
    """Chained updates of packed and unpacked batches: parameters, targets, moments, counts and metrics after each."""
    agent = drq_agent(fixture)
    check_samples(fixture, agent)
    for index, recorded in enumerate(fixture.entry["steps"]):
        step = f"step{index}"
        batch, noise = batch_of(fixture, step), noise_of(fixture, index)
        crops = crops_of(fixture, step, agent, batch)
        if recorded["kind"] == "update_critics":
            metrics = agent.update_critics(batch, noise, crops)
        else:
            metrics = agent.update_high_utd(batch, recorded["utd_ratio"], noise, crops)
        for name in fixture.below(step, "info"):
            fixture.assert_close(metrics[name], f"{step}/info/{name}", STATE_RTOL)
        assert_state(agent, fixture, step, STATE_RTOL)


def bc_agent(fixture: Fixture) -> BCAgent:
    """An agent that leaves the image encoders alone, as the original's, at the recorded initial state."""
    params, batch = fixture.below("init", "params"), batch_of(fixture, "step0")
    squash, std, rate = (
        re.search(pattern, fixture.entry["ctor"])[1]  # type: ignore[index]
        for pattern in (r"tanh_squash=(\w+)", r"std (\w+)", r"adam\(([^)]+)\)")
    )
    config = BcConfig(
        hidden_dims=tuple(kernel.shape[-1] for kernel in numbered(params, "modules_actor/network", "Dense")),
        tanh_squash_distribution=squash == "True",
        std_parameterization=std,
        optimizer=OptimizerConfig(float(rate)),
    ).as_in_serl()
    encoders = {key: small_encoder(params, f"{ENCODER}/encoder_{key}") for key in cameras(batch)}
    module = make_bc_module(wrapper(params, encoders), batch["actions"].shape[-1], config)
    materialise(module, sample_of(batch))
    agent = BCAgent(module, config, seed=0, device=torch.device("cpu"))
    load_flax_params(agent.modules, params)
    return agent


@adapter("agents.continuous.bc.BCAgent")
def check_bc(fixture: Fixture) -> None:
    """Chained updates: each sample's likelihood and error before, metrics and parameters after each."""
    agent = bc_agent(fixture)
    steps = {key.split("/")[0] for key in fixture.arrays if key.startswith("step")}
    for step in sorted(steps):
        batch = batch_of(fixture, step)
        for name, value in agent.get_debug_metrics(batch).items():
            fixture.assert_close(value, f"{step}/debug_before/{name}")
        metrics = agent.update(batch)
        for name in fixture.below(step, "info"):
            fixture.assert_close(metrics[name], f"{step}/info/{name}")
        for path, value in to_flax_params(agent.modules).items():
            fixture.assert_close(value, f"{step}/params/{path}")


def frozen_heads(params: Params, scope: str, cameras: Iterable[str], trunk: nn.Module) -> dict[str, PooledEncoder]:
    """Heads on a frozen trunk as the recorded parameters have them."""
    return {
        key: PreTrainedResNetEncoder(
            "spatial_learned_embeddings",
            num_spatial_blocks=params[f"{scope}/encoder_{key}/SpatialLearnedEmbeddings_0/kernel"].shape[-1],
            bottleneck_dim=params[f"{scope}/encoder_{key}/Dense_0/kernel"].shape[-1],
            pretrained_encoder=trunk,
        )
        for key in cameras
    }


def vice_agent(fixture: Fixture) -> VICEAgent:
    """An agent in the original's mode at the recorded initial state."""
    params, batch = fixture.below("init", "params"), batch_of(fixture, "step0")
    keys = cameras(batch)
    trunk_path = f"{ENCODER}/encoder_{keys[0]}/pretrained_encoder"
    trunk = resnetv1_configs["resnetv1-10-frozen"](num_filters=params[f"{trunk_path}/conv_init/kernel"].shape[-1])
    rate = OptimizerConfig(float(fixture.arrays["init/opt/vice/learning_rate"]))
    vice_dims = tuple(kernel.shape[-1] for kernel in numbered(params, "modules_vice/network", "Dense"))
    config = ViceConfig(
        encoder=EncoderConfig("resnet-pretrained", keys),
        critic_ensemble_size=len(params["modules_critic/network/Dense_0/bias"]),
        hidden_dims=tuple(kernel.shape[-1] for kernel in numbered(params, "modules_actor/network", "Dense")),
        vice_hidden_dims=vice_dims,
        vice_optimizer=rate,
    ).as_in_serl()
    action_dim = batch["actions"].shape[-1]
    modules = make_drq_modules(wrapper(params, frozen_heads(params, ENCODER, keys, trunk)), action_dim, config)
    heads = frozen_heads(params, "modules_vice/encoder", keys, trunk)
    vice_encoder = EncodingWrapper(heads, use_proprio=False, enable_stacking=True, image_keys=keys)
    network = MLP(vice_dims, "leaky_relu", activate_final=True, use_layer_norm=True, dropout_rate=0.1)
    modules["vice"] = BinaryClassifier(trunk, vice_encoder, network, enable_stacking=True)
    shape_pixel_modules(modules, sample_of(batch), action_dim)
    materialise(modules["vice"], sample_of(batch))
    load_flax_params(modules, params)
    return VICEAgent(modules, config, action_dim=action_dim, seed=0, device=torch.device("cpu"))


def vice_noise(fixture: Fixture, step: str, agent: VICEAgent, frames: int) -> ViceNoise:
    """The recorded noise; masks for whole batches belong to the mixup, those for one sample to the penalty."""
    noise = fixture.tensors(step, "noise")
    drawn = {key.rpartition("_")[2]: value for key, value in noise.items() if not key.endswith("bernoulli")}
    masks = [value for key, value in sorted(noise.items()) if key.endswith("bernoulli")]
    corners = noise["crop0"].long().unflatten(0, (-1, frames))
    return ViceNoise(
        crops=dict.fromkeys(agent.image_keys, corners),
        mixup=drawn["beta"],
        permutation=drawn["permutation"].long(),
        interpolation=drawn["uniform"].flatten(),
        mixup_keep=tuple(mask for mask in masks if mask.dim() == 2),
        penalty_keep=tuple(mask for mask in masks if mask.dim() == 1),
    )


@adapter("agents.continuous.vice.VICEAgent.update_vice")
def check_vice(fixture: Fixture) -> None:
    """Chained updates of the classifier: metrics and its parameters after each; all other parameters stay."""
    agent = vice_agent(fixture)
    start = to_flax_params(agent.state.modules)
    for index in range(len(fixture.entry["draws"])):
        step = f"step{index}"
        batch = batch_of(fixture, step)
        frames = batch["next_observations"]["state"].shape[1]
        metrics = agent.update_vice(batch, vice_noise(fixture, step, agent, frames))
        for name in fixture.below(step, "info"):
            fixture.assert_close(metrics[name], f"{step}/info/{name}")
        recorded = fixture.below(step, "params")
        for path, value in to_flax_params(agent.state.modules).items():
            if path in recorded:
                fixture.assert_close(value, f"{step}/params/{path}")
            else:
                np.testing.assert_array_equal(value, start[path], err_msg=path)
        fixture.assert_close(agent.vice_reward(batch["next_observations"]), f"{step}/vice_reward_after")


@adapter("utils.launcher.make_drq_agent")
def check_full_size(fixture: Fixture) -> None:
    """The launcher's agent, every parameter filled by the recipe: values, distribution, and the action it takes."""
    encoder_type, keys = (
        ast.literal_eval(re.search(pattern, fixture.entry["ctor"])[1])  # type: ignore[index]
        for pattern in (r"encoder_type=('[^']*')", r"image_keys=(\([^)]*\))")
    )
    observations, actions = fixture.tensors("in", "obs"), fixture.tensors("in")["actions"]
    one = {key: value[0].numpy() for key, value in observations.items()}
    agent = make_drq_agent(0, one, actions[0].numpy(), keys, encoder_type)
    modules = agent.state.modules
    load_flax_params(modules, fixture.params)
    with torch.no_grad():
        distribution = modules["actor"](observations)
        fixture.assert_close(modules["critic"](observations, actions), "out/q")
    fixture.assert_close(distribution.loc, "out/loc")
    fixture.assert_close(distribution.scale_diag, "out/std")
    fixture.assert_close(distribution.mode(), "out/mode")
    fixture.assert_close(modules["temperature"](), "out/temperature")
    fixture.assert_close(agent.sample_actions(one, argmax=True), "out/argmax_single")
