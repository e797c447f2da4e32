"""Adapters of the SAC agent: whole updates with recorded noise, and the launcher's full-size networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from rl.agents.continuous.sac import SACAgent, SacConfig, SacNoise
from rl.common.optimizers import OptimizerConfig
from rl.nn.flax_params import flax_parameters, load_flax_params, to_flax_params
from tests.golden.serl import Fixture, adapter


def agent_of(fixture: Fixture) -> SACAgent:
    """An agent in the original's mode at the recorded initial state; its widths follow from the recorded kernels."""
    params = fixture.below("init", "params")
    paths = sorted(path for path in params if path.startswith("modules_actor/network/") and path.endswith("/kernel"))
    kernels = [params[path] for path in paths]
    rates = {
        f"{name}_optimizer": OptimizerConfig(rate["lr"], warmup_steps=rate["warmup_steps"])
        for name, rate in fixture.entry["learning_rates"].items()
    }
    settings: dict[str, Any] = {k: v for k, v in fixture.entry["config"].items() if k in SacConfig.__dataclass_fields__}
    config = SacConfig(**settings, **rates, hidden_dims=tuple(k.shape[1] for k in kernels)).as_in_serl()
    action_dim = params["modules_actor/Dense_0/kernel"].shape[1]
    agent = SACAgent.create_states(kernels[0].shape[0], action_dim, config)
    load_flax_params(agent.state.modules, params)
    load_flax_params(agent.state.targets, fixture.below("init", "target_params"))
    return agent


def noise_of(fixture: Fixture, step: str) -> SacNoise:
    """The recorded noise; a loss that the step did not run has none."""
    found = fixture.tensors(step, "noise")
    nothing = torch.empty(0)
    idx = found.get("critic_idx")
    return SacNoise(
        actor_eps=found.get("actor_eps", nothing),
        critic_eps=found.get("critic_eps", nothing),
        critic_idx=None if idx is None else idx.long(),
        temperature_eps=found.get("temp_eps", nothing),
    )


def run_step(agent: SACAgent, fixture: Fixture, index: int) -> dict[str, Tensor]:
    step = fixture.entry["steps"][index]
    batch, noise = fixture.tensors(f"step{index}", "batch"), noise_of(fixture, f"step{index}")
    match step["kind"]:
        case "update":
            return agent.update(batch, noise=noise)
        case "critic_only":
            return agent.update(batch, {"critic"}, noise)
        case "actor_temperature_only":
            return agent.update(batch, {"actor", "temperature"}, noise)
        case "update_high_utd":
            return agent.update_high_utd(batch, step["utd_ratio"], noise)
        case unknown:
            raise AssertionError(f"no step is named {unknown}")


def moments(agent: SACAgent, name: str, kind: str) -> dict[str, np.ndarray]:
    """First or second moments of an optimizer by Flax path, of the parameters that it covers."""
    optimizer = agent.state.optimizers[name]
    by_parameter = {id(p): m for p, m in zip(optimizer.parameters, getattr(optimizer, kind), strict=True)}
    return {
        path: entry.leaf.to_flax(by_parameter[id(entry.parameter)].numpy())
        for path, entry in flax_parameters(agent.state.modules).items()
        if id(entry.parameter) in by_parameter
    }


def assert_parameters(agent: SACAgent, fixture: Fixture, step: str, rtol: float = 1e-5) -> None:
    for kind, module in (("params", agent.state.modules), ("target_params", agent.state.targets)):
        for path, value in to_flax_params(module).items():
            fixture.assert_close(value, f"{step}/{kind}/{path}", rtol)


def assert_state(agent: SACAgent, fixture: Fixture, step: str, rtol: float = 1e-5) -> None:
    assert_parameters(agent, fixture, step, rtol)
    for name, optimizer in agent.state.optimizers.items():
        fixture.assert_close(optimizer.count, f"{step}/opt/{name}/count")
        for kind in ("mu", "nu"):
            found = moments(agent, name, kind)
            for path, value in fixture.below(step, "opt", name, kind).items():
                assert path in found or not np.any(value), f"{step}: optimizer {name} does not cover {path}"
            for path, value in found.items():
                recorded = f"{step}/opt/{name}/{kind}/{path}"
                if recorded in fixture.arrays:
                    fixture.assert_close(value, recorded, rtol)
                else:
                    assert not fixture.below(step, "opt", name, kind) or not np.any(value), recorded


def assert_losses(agent: SACAgent, fixture: Fixture, step: str) -> None:
    """The recorded losses and gradients, at the parameters before the step."""
    batch, noise = fixture.tensors(step, "batch"), noise_of(fixture, step)
    modules, targets = agent.state.modules, agent.state.targets
    for name in fixture.below(step, "loss"):
        loss, _ = agent.losses[name](modules, targets, batch, noise, agent.config)
        fixture.assert_close(loss, f"{step}/loss/{name}")
        by_parameter = dict(
            zip(map(id, agent.state.optimizers[name].parameters), agent.state.gradients(name, loss), strict=True)
        )
        for path, entry in flax_parameters(modules).items():
            if f"{step}/grads/{name}/{path}" in fixture.arrays:
                grad = entry.leaf.to_flax(by_parameter[id(entry.parameter)].numpy())
                fixture.assert_close(grad, f"{step}/grads/{name}/{path}")


@adapter("agents.continuous.sac.SACAgent")
def check_sac(fixture: Fixture) -> None:
    """Six chained updates: losses, gradients, parameters, targets, moments, counts and metrics after each."""
    agent = agent_of(fixture)
    for index in range(len(fixture.entry["steps"])):
        step = f"step{index}"
        assert_losses(agent, fixture, step)
        metrics = run_step(agent, fixture, index)
        for name in fixture.below(step, "info"):
            fixture.assert_close(metrics[name], f"{step}/info/{name}")
        assert_state(agent, fixture, step)


@adapter("utils.launcher.make_sac_agent")
def check_full_size(fixture: Fixture) -> None:
    given = fixture.tensors("in")
    agent = SACAgent.create_states(given["obs"].shape[-1], given["actions"].shape[-1])
    modules = agent.state.modules
    load_flax_params(modules, fixture.params)
    distribution = modules["actor"](given["obs"])
    fixture.assert_close(modules["critic"](given["obs"], given["actions"]), "out/q")
    fixture.assert_close(distribution.loc, "out/loc")
    fixture.assert_close(distribution.scale_diag, "out/std")
    fixture.assert_close(distribution.mode(), "out/mode")
    fixture.assert_close(modules["temperature"](), "out/temperature")
    for observation, mode in zip(given["obs"].numpy(), fixture.arrays["out/mode"], strict=True):
        np.testing.assert_allclose(agent.sample_actions(observation, argmax=True), mode, rtol=1e-5, atol=1e-6)
