"""Laws of what trades digits or memory for speed: reduced precision, accumulation, recomputation."""

import dataclasses

import pytest
import torch
from torch import Generator

from rl.agents.continuous.bc import BCAgent, BcConfig
from rl.agents.continuous.sac import SACAgent, SacConfig
from rl.common.common import gradients_of, parameters_of
from rl.common.encoders import EncoderConfig, make_encoder
from rl.common.optimizers import OptimizerConfig
from rl.nn.layers import materialise
from rl.utils.performance import LossScale, autocast, tune_backends

CPU = torch.device("cpu")
STEADY = OptimizerConfig(1e-3)
SAC = SacConfig(
    critic_ensemble_size=3, hidden_dims=(32,), microbatch_size=None,
    actor_optimizer=STEADY, critic_optimizer=STEADY, temperature_optimizer=STEADY,
)  # fmt: skip
ROWS = 24


def batch(seed=0):
    generator = Generator().manual_seed(seed)
    return {
        "observations": torch.randn(ROWS, 5, generator=generator),
        "next_observations": torch.randn(ROWS, 5, generator=generator),
        "actions": torch.rand(ROWS, 2, generator=generator) * 1.8 - 0.9,
        "rewards": torch.randn(ROWS, generator=generator),
        "masks": torch.ones(ROWS),
    }


def after_updates(config, updates=3):
    """Parameters as one vector, and the metrics of the last update."""
    agent = SACAgent.create_states(5, 2, config, seed=0)
    metrics = {}
    for seed in range(updates):
        metrics = agent.update(batch(seed))
    return torch.cat([p.detach().flatten() for p in agent.state.modules.parameters()]), metrics


def test_accumulated_micro_batches_are_the_joint_batch():
    whole, metrics = after_updates(SAC)
    for rows in (8, 7):
        parts, other = after_updates(dataclasses.replace(SAC, microbatch_size=rows))
        torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(other["critic/critic_loss"], metrics["critic/critic_loss"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_losses_of_reduced_precision_are_close_and_parameters_stay_float32(precision):
    exact, metrics = after_updates(SAC, 1)
    found, other = after_updates(dataclasses.replace(SAC, precision=precision), 1)
    assert found.dtype == torch.float32
    assert not torch.equal(found, exact)
    torch.testing.assert_close(other["critic/critic_loss"], metrics["critic/critic_loss"], rtol=0.03, atol=0.03)
    # Adam's first steps have the size of the learning rate, whatever the gradients' sizes: their signs must agree.
    start, _ = after_updates(SAC, 0)
    agreement = torch.nn.functional.cosine_similarity(found - start, exact - start, dim=0)
    assert agreement > 0.9


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_reaches_matrix_products(dtype):
    with autocast(CPU, str(dtype).removeprefix("torch.")):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype
    with autocast(CPU, "float32"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_a_loss_scale_falls_with_each_overflow_and_grows_after_a_calm_time():
    scale = LossScale(CPU, first=8.0, growth_interval=2)
    grads = [torch.tensor([8.0, 16.0])]
    assert scale.unscale({"actor": grads})
    torch.testing.assert_close(grads[0], torch.tensor([1.0, 2.0]))
    assert scale.unscale({"actor": [torch.ones(1)]})
    assert scale.scale == 16.0
    assert not scale.unscale({"actor": [torch.ones(1)], "critic": [torch.tensor([float("inf")])]})
    assert scale.scale == 8.0
    restored = LossScale(CPU)
    restored.load_state_dict(scale.state_dict())
    assert restored.scale == 8.0


def test_a_step_that_overflowed_changes_nothing():
    agent = SACAgent.create_states(5, 2, dataclasses.replace(SAC, precision="float16"), seed=0)
    before = {name: value.clone() for name, value in agent.state.modules.state_dict().items()}
    overflow = {
        name: [torch.full_like(p, torch.inf) for p in o.parameters] for name, o in agent.state.optimizers.items()
    }
    scale = agent.state.loss_scale.scale.clone()
    agent.state.apply_gradients(overflow)
    assert all(torch.equal(value, before[name]) for name, value in agent.state.modules.state_dict().items())
    assert all(optimizer.count == 0 for optimizer in agent.state.optimizers.values())
    assert agent.state.loss_scale.scale == scale / 2


def test_small_gradients_survive_float16_by_their_scale():
    weight = torch.ones(4, requires_grad=True)

    def gradient(scale):
        with torch.autocast("cpu", torch.float16):
            loss = (torch.full((1, 4), 2e-5) @ weight[:, None]).sum().float() * 2e-4
        return torch.autograd.grad(loss * scale, weight)[0] / scale

    assert gradient(1.0).count_nonzero() == 0
    torch.testing.assert_close(gradient(65536.0), torch.full((4,), 4e-9), rtol=0.05, atol=0)


def test_a_recomputing_encoder_has_the_same_gradients():
    images = torch.randint(256, (3, 1, 40, 40, 3), dtype=torch.uint8, generator=Generator().manual_seed(0))
    found = []
    for recomputes in (False, True):
        config = EncoderConfig("compact", ("front",), use_proprio=False, bottleneck_dim=8, recomputes=recomputes)
        encoder = materialise(make_encoder(config), {"front": images}, generator=Generator().manual_seed(1))
        for encode in (encoder, lambda seen, encoder=encoder: encoder(encoder.encode_maps(seen))):
            found.append(gradients_of(encode({"front": images}).square().sum(), parameters_of(encoder)))
    for grads in found[1:]:
        for one, other in zip(found[0], grads, strict=True):
            assert one.abs().max() > 0
            torch.testing.assert_close(one, other)


def test_a_recomputing_encoder_keeps_no_maps():
    images = torch.zeros(4, 1, 40, 40, 3, dtype=torch.uint8)
    kept = []
    for recomputes in (False, True):
        config = EncoderConfig("compact", ("front",), use_proprio=False, bottleneck_dim=8, recomputes=recomputes)
        encoder = materialise(make_encoder(config), {"front": images}, generator=Generator().manual_seed(1))
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, s=sizes: s.append(t.numel()) or t, lambda t: t):
            encoder({"front": images})
        kept.append(sum(sizes))
    assert kept[1] < kept[0] / 2


def test_behaviour_cloning_in_reduced_precision_learns_the_same():
    generator = Generator().manual_seed(0)
    rows = {"observations": torch.randn(64, 3, generator=generator)}
    rows["actions"] = torch.tanh(rows["observations"][:, :2])
    for precision in ("bfloat16", "float16"):
        config = BcConfig(hidden_dims=(32,), optimizer=OptimizerConfig(1e-2), std_min=0.1, precision=precision)
        agent = BCAgent.create(rows["observations"].numpy(), 2, config)
        for _ in range(150):
            metrics = agent.update(rows)
        assert metrics["mse"] < 0.02


def test_backends_are_tuned_for_a_gpu_and_left_alone_on_a_cpu(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    before = torch.get_float32_matmul_precision()
    try:
        tune_backends(CPU)
        assert torch.get_float32_matmul_precision() == before
        assert not torch.backends.cudnn.benchmark
        tune_backends(torch.device("cuda"))
        assert torch.get_float32_matmul_precision() == "high"
        assert torch.backends.cudnn.benchmark
    finally:
        torch.set_float32_matmul_precision(before)
