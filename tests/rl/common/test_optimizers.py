"""Laws of optimizers, schedules and the train state."""

import pytest
import torch
from torch import nn

from rl.common.common import TrainState, copy_as_target
from rl.common.optimizers import OptimizerConfig, clip_by_global_norm, make_optimizer, make_schedule


@pytest.mark.parametrize("weight_decay", [None, 0.05])
def test_adam_is_torchs(weight_decay):
    generator = torch.Generator().manual_seed(0)
    start = [torch.randn(3, 4, generator=generator), torch.randn(5, generator=generator)]
    ours, theirs = [x.clone() for x in start], [x.clone().requires_grad_() for x in start]
    optimizer = make_optimizer(ours, 1e-2, weight_decay=weight_decay)
    reference = torch.optim.AdamW(theirs, 1e-2, weight_decay=weight_decay or 0.0)
    for _ in range(20):
        grads = [torch.randn(x.shape, generator=generator) for x in start]
        torch._foreach_add_(ours, optimizer.updates(grads))
        for parameter, grad in zip(theirs, grads, strict=True):
            parameter.grad = grad
        reference.step()
    torch.testing.assert_close(ours, [x.detach() for x in theirs], rtol=1e-4, atol=1e-5)


def test_a_step_does_not_depend_on_the_layout_of_gradients_and_parameters():
    kernel = torch.randn(4, 3, 5, 5).contiguous(memory_format=torch.channels_last)
    stack = torch.randn(2, 6, 7)
    grads = [torch.randn(4, 3, 5, 5), torch.randn(2, 7, 6).transpose(1, 2)]
    odd, plain = make_optimizer([kernel, stack]), make_optimizer([kernel.contiguous(), stack])
    for _ in range(3):
        torch.testing.assert_close(
            odd.updates(grads), plain.updates([g.contiguous() for g in grads]), rtol=1e-5, atol=1e-9
        )


def test_both_ways_to_compute_a_step_agree():
    one, other = (make_optimizer([torch.randn(6, 5), torch.randn(3)], 1e-2) for _ in range(2))
    for scale in (1e-6, 1.0, 1e3):
        grads = [scale * torch.randn(6, 5), scale * torch.randn(3)]
        rate = one.learning_rate()
        one.count.add_(1)
        torch.testing.assert_close(one._adam(grads, rate), other.updates(grads), rtol=1e-5, atol=1e-9)
    torch.testing.assert_close(one.state_dict(), other.state_dict(), rtol=1e-5, atol=1e-12)


def test_a_schedule_warms_up_from_zero_and_ends_where_the_cosine_does():
    rates = make_schedule(1.0, warmup_steps=4, cosine_decay_steps=12)(torch.arange(20))
    torch.testing.assert_close(rates[:5], torch.arange(5) / 4)
    torch.testing.assert_close(rates[8], torch.tensor(0.5))
    assert torch.all(rates[12:] == 0)


def test_clipping_bounds_the_norm_and_leaves_short_gradients_alone():
    grads = [torch.ones(4), torch.full((3, 3), 2.0)]
    clipped = clip_by_global_norm(grads, 1.0)
    torch.testing.assert_close(torch.cat([g.flatten() for g in clipped]).norm(), torch.tensor(1.0))
    torch.testing.assert_close(clip_by_global_norm(grads, 100.0), grads, rtol=0, atol=0)


def test_updates_of_two_optimizers_on_one_parameter_are_summed():
    modules = nn.ModuleDict({"shared": nn.Linear(2, 2)})
    covered = list(modules["shared"].parameters())
    configs = {"one": OptimizerConfig(1e-2), "other": OptimizerConfig(3e-2)}
    state = TrainState(modules, configs, parameters={"one": covered, "other": covered})
    before = [p.detach().clone() for p in covered]
    grads = [torch.ones_like(p) for p in covered]
    state.apply_gradients({"one": grads, "other": grads})
    # Adam's first step has the length of the learning rate.
    torch.testing.assert_close(
        [b - p.detach() for b, p in zip(before, covered, strict=True)], [0.04 * g for g in grads]
    )


def test_targets_share_what_is_frozen_and_copy_the_rest():
    modules = nn.ModuleDict({"trunk": nn.Linear(2, 2).requires_grad_(False), "head": nn.Linear(2, 1)})
    targets = copy_as_target(modules)
    assert targets["trunk"].weight is modules["trunk"].weight
    assert targets["head"].weight is not modules["head"].weight
    assert not any(p.requires_grad for p in targets.parameters())
