"""Adapters of perceptrons, policies, critics and Lagrange multipliers."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import nn

from rl.networks.actor_critic_nets import (
    ContrastiveCritic,
    Critic,
    DistributionalCritic,
    Policy,
    ValueCritic,
    ensemblize,
)
from rl.networks.distributions import TanhMultivariateNormalDiag
from rl.networks.lagrange import LagrangeMultiplier
from rl.networks.mlp import MLP, MLPResNet, MLPResNetBlock
from rl.nn.flax_params import load_flax_params, to_flax_params
from rl.nn.layers import materialise
from tests.golden.serl import NAMES, Fixture, adapter, compare

NAMES |= {
    cls.__name__: cls
    for cls in (MLP, MLPResNet, MLPResNetBlock, Policy, Critic, ValueCritic, DistributionalCritic, ContrastiveCritic)
}
NAMES |= {"ensemblize": ensemblize, "LagrangeMultiplier": LagrangeMultiplier}


def loaded_module(fixture: Fixture, *inputs: torch.Tensor) -> nn.Module:
    """The fixture's module with the recorded parameters."""
    module = materialise(fixture.build(), *inputs)
    load_flax_params(module, fixture.params)
    return module


def assert_gradients(fixture: Fixture, module: nn.Module) -> None:
    expected = fixture.below("grad_params")
    grads = to_flax_params(module, lambda p: torch.zeros_like(p) if p.grad is None else p.grad)
    assert grads.keys() == expected.keys()
    for path, grad in grads.items():
        fixture.assert_close(grad, f"grad_params/{path}")


@adapter(
    "networks.mlp.MLP",
    "networks.mlp.MLPResNet",
    "networks.mlp.MLPResNetBlock",
    "networks.actor_critic_nets.Critic",
    "networks.actor_critic_nets.ensemblize(Critic)",
    "networks.actor_critic_nets.ValueCritic",
    "networks.actor_critic_nets.DistributionalCritic",
    "networks.actor_critic_nets.ContrastiveCritic",
)
def check_module(fixture: Fixture) -> None:
    """Outputs, and the gradients of sum(output * cotangent) for parameters and inputs."""
    inputs = [x.requires_grad_() for x in fixture.ordered("in")]
    module = loaded_module(fixture, *inputs)
    result = module(*inputs, **fixture.call_kwargs)
    outputs = result if isinstance(result, tuple) else (result,)
    keys = ["out"] if len(outputs) == 1 else [f"out/{index}" for index in range(len(outputs))]
    for key, output in zip(keys, outputs, strict=True):
        fixture.assert_close(output, key)
    cotangents = fixture.ordered("cot")
    sum((output * cotangent).sum() for output, cotangent in zip(outputs, cotangents, strict=True)).backward()
    assert_gradients(fixture, module)
    for index, x in enumerate(inputs):
        fixture.assert_close(x.grad, f"grad_in/{index}")


@adapter("networks.actor_critic_nets.Policy")
def check_policy(fixture: Fixture) -> None:
    observations = fixture.tensors("in")["0"]
    distribution = loaded_module(fixture, observations)(observations, **fixture.call_kwargs)
    fixture.assert_close(distribution.loc, "out/loc")
    fixture.assert_close(distribution.scale_diag.expand_as(distribution.loc), "out/std")
    fixture.assert_close(distribution.stddev(), "out/stddev")
    check_distribution(fixture, distribution)


@adapter("networks.actor_critic_nets.TanhMultivariateNormalDiag")
def check_tanh_normal(fixture: Fixture) -> None:
    given = fixture.tensors("in")
    given.pop("given_action", None)
    check_distribution(fixture, TanhMultivariateNormalDiag(**given))


def check_distribution(fixture: Fixture, distribution) -> None:
    recorded, given = fixture.below("out"), fixture.tensors("in")
    checks = {"mode": distribution.mode, "entropy": getattr(distribution, "entropy", None)}
    if "noise/eps" in fixture.arrays:
        sample, log_prob = distribution.sample_and_log_prob(fixture.tensors("noise")["eps"])
        checks |= {"sample": lambda: sample, "sample_log_prob": lambda: log_prob}
    if "given_action" in given:
        checks["log_prob_given"] = partial(distribution.log_prob, given["given_action"])
    for name in recorded.keys() - {"loc", "std", "stddev"}:
        finite = np.isfinite(recorded[name])
        # The inverse of tanh near its bounds multiplies a rounding error of the action by 1 / (1 - a^2).
        ill_conditioned = name == "log_prob_given" and fixture.entry["rtol"] > 1e-3
        rtol = 1e-3 if ill_conditioned else 1e-5
        found = checks[name]().numpy(force=True)
        compare(found[finite], recorded[name][finite], f"{fixture.name}:out/{name}", fixture.entry, rtol)


@adapter("networks.lagrange.LagrangeMultiplier")
def check_lagrange(fixture: Fixture) -> None:
    multiplier = fixture.build()
    fixture.assert_close(multiplier.lagrange, "params/lagrange")
    load_flax_params(multiplier, fixture.params)
    given = fixture.tensors("in")
    lhs = given["lhs"].requires_grad_()
    penalty = multiplier(lhs=lhs, rhs=given["rhs"])
    fixture.assert_close(multiplier(), "out/value")
    fixture.assert_close(penalty, "out/penalty")
    fixture.assert_close(multiplier(lhs=lhs), "out/penalty_rhs_none")
    penalty.sum().backward()
    assert_gradients(fixture, multiplier)
    fixture.assert_close(lhs.grad, "grad_in/lhs")
