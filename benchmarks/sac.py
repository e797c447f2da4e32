"""The SAC learner: updates against the matrix products of the same shapes, and acting."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rl.agents.continuous.sac import SACAgent, SacConfig, make_policy

BATCH, UTD = 2048, 8
DEFAULTS = SacConfig()
REFERENCE_MS = 232.0
"""The original in JAX: `update_high_utd(2048, 8)` on two cores of another machine, observation 10, action 4."""


@dataclass(frozen=True)
class Case:
    """One configuration of the learner."""

    name: str
    observation_dim: int = 10
    action_dim: int = 4
    compiled: bool = True
    config: SacConfig = DEFAULTS


def make_batch(size: int, observation_dim: int, action_dim: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    return {
        "observations": normal(size, observation_dim),
        "actions": torch.tanh(normal(size, action_dim)),
        "next_observations": normal(size, observation_dim),
        "rewards": normal(size),
        "masks": torch.ones(size),
    }


def timed(function: Callable[[], Any]) -> float:
    """Milliseconds of one call."""
    start = time.perf_counter()
    function()
    return 1e3 * (time.perf_counter() - start)


def products(config: SacConfig, inputs: int, rows: int) -> list[tuple[Tensor, Tensor]]:
    """Operands of every matrix product of the critics in one `update_high_utd`, last layers left out."""
    width = config.hidden_dims[0]
    members, asked = config.critic_ensemble_size, config.critic_subsample_size or config.critic_ensemble_size

    def operands(n: int) -> list[tuple[Tensor, Tensor]]:
        first = (torch.randn(rows, inputs), torch.randn(inputs, n * width))
        return [first, (torch.randn(n, rows, width), torch.randn(n, width, width))]

    forward_backward = 3 * operands(members)
    critic_steps = UTD * (forward_backward + operands(asked))
    actor_passes = (BATCH // rows) * 2 * operands(members)
    return critic_steps + actor_passes


def bound(config: SacConfig, inputs: int) -> Callable[[], None]:
    """The matrix products of one `update_high_utd` and nothing else."""
    pairs = products(config, inputs, BATCH // UTD)
    outputs = {left.shape[:-1] + right.shape[-1:]: torch.empty(0) for left, right in pairs}
    for left, right in pairs:
        outputs[left.shape[:-1] + right.shape[-1:]] = left @ right

    def run_products() -> None:
        for left, right in pairs:
            torch.matmul(left, right, out=outputs[left.shape[:-1] + right.shape[-1:]])

    return run_products


def measure_update(case: Case, repeats: int) -> list[dict[str, Any]]:
    """Update and bound in turn, so that both see the same load; medians."""
    agent = SACAgent.create_states(case.observation_dim, case.action_dim, case.config)
    if case.compiled:
        agent.compile()
    batch = make_batch(BATCH, case.observation_dim, case.action_dim)
    first = timed(lambda: agent.update_high_utd(batch, UTD))
    run_products = bound(case.config, case.observation_dim + case.action_dim)
    for warm_up in (run_products, lambda: agent.update_high_utd(batch, UTD)):
        warm_up()
    pairs = [(timed(lambda: agent.update_high_utd(batch, UTD)), timed(run_products)) for _ in range(repeats)]
    update, floor = (float(np.median([pair[side] for pair in pairs])) for side in range(2))
    share = float(np.median([floor / update for update, floor in pairs]))
    note = f"update_high_utd({BATCH}, {UTD}), {torch.get_num_threads()} threads"
    return [
        {"name": f"{case.name}: update", "value": update, "unit": "ms", "note": note},
        {"name": f"{case.name}: fastest update", "value": min(p[0] for p in pairs), "unit": "ms", "note": note},
        {"name": f"{case.name}: matrix products alone", "value": floor, "unit": "ms", "note": "float32, same shapes"},
        {"name": f"{case.name}: share of the bound", "value": share, "unit": "", "note": "1 is the bound"},
        {"name": f"{case.name}: first update", "value": first / 1e3, "unit": "s", "note": "compilation included"},
    ]


def measure_acting(repeats: int) -> list[dict[str, Any]]:
    """One observation, on one thread as in an actor process."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    policy = make_policy(10, 4, SacConfig())
    observation = np.zeros(10, np.float32)
    rows = []
    for name, argmax in (("argmax", True), ("stochastic", False)):
        times = [timed(partial(policy.sample_actions, observation, argmax=argmax)) for _ in range(repeats)]
        rows.append({"name": f"act, {name}", "value": float(np.median(times)), "unit": "ms", "note": "1 observation"})
    torch.set_num_threads(threads)
    return rows


def run(quick: bool) -> list[dict[str, Any]]:
    """Rows of name, value, unit and note."""
    repeats = 5 if quick else 30
    bfloat16 = replace(SacConfig(), precision="bfloat16")
    cases = [Case("SAC 10/4 compiled"), Case("SAC 10/4 eager", compiled=False)]
    if not quick:
        cases += [Case("SAC 10/4 compiled bf16", config=bfloat16), Case("SAC 17/6 compiled", 17, 6)]
    rows = [row for case in cases for row in measure_update(case, repeats)]
    ratio = REFERENCE_MS / rows[0]["value"]
    rows.append({"name": "against JAX", "value": ratio, "unit": "x", "note": f"{REFERENCE_MS} ms on another machine"})
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows.append({"name": "peak memory", "value": peak, "unit": "MB", "note": "the original: 816 MB"})
    return rows + measure_acting(200 if quick else 2000)
