"""Adapters of the optimizers and of the train state."""

from __future__ import annotations

import ast
from functools import partial

import torch
from torch import nn

from rl.common.common import TrainState
from rl.common.optimizers import OptimizerConfig, make_optimizer
from tests.golden.serl import Fixture, adapter, evaluate


def steps_of(fixture: Fixture, prefix: str) -> list[str]:
    return sorted({key.split("/")[0] for key in fixture.below("in") if key.startswith(prefix)})


@adapter("common.optimizers.make_optimizer")
def check_optimizer(fixture: Fixture) -> None:
    """The schedule, and every parameter after every step of a trajectory."""
    params = fixture.tensors("params")
    optimizer = evaluate(fixture.entry["ctor"], {"make_optimizer": partial(make_optimizer, list(params.values()))})
    rates = optimizer.schedule(torch.arange(len(fixture.arrays["out/schedule_0_to_30"])))
    fixture.assert_close(rates, "out/schedule_0_to_30", rtol=1e-6)
    for step in steps_of(fixture, "grads"):
        grads = fixture.tensors("in", step)
        torch._foreach_add_(optimizer.parameters, optimizer.updates([grads[path] for path in params]))
        for path, value in params.items():
            fixture.assert_close(value, f"out/{step.replace('grads', 'params')}/{path}", rtol=1e-6)


class Tree(nn.Module):
    """Parameters by Flax path."""

    def __init__(self, tensors: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.paths = list(tensors)
        self.leaves = nn.ParameterList(tensors.values())


@adapter("common.common.JaxRLTrainState")
def check_train_state(fixture: Fixture) -> None:
    """Three optimizers on one whole tree, then the target update, over several steps."""
    txs, tau = parse_train_state(fixture.entry["ctor"])
    tree = Tree(fixture.tensors("params"))
    modules = nn.ModuleDict({"tree": tree})
    covered = {name: list(tree.leaves) for name in txs}
    state = TrainState(modules, txs, selective_optimizer_steps=False, parameters=covered)
    slow = fixture.tensors("target_params")
    state.targets["tree"].load_state_dict(Tree({path: slow[path] for path in tree.paths}).state_dict())
    for step in steps_of(fixture, "grads"):
        grads = {name: fixture.tensors("in", step, name) for name in txs}
        state.apply_gradients({name: [found[path] for path in tree.paths] for name, found in grads.items()})
        state.target_update(tau)
        for kind, module in (("params", tree), ("target_params", state.targets["tree"])):
            for path, value in zip(tree.paths, module.leaves, strict=True):
                fixture.assert_close(value, f"out/{kind}{step.removeprefix('grads')}/{path}", rtol=1e-6)


def parse_train_state(description: str) -> tuple[dict[str, OptimizerConfig], float]:
    """`txs={name: make_optimizer(...), ...}; target_update(tau) after ...` as configurations and tau."""
    txs, rest = description.removeprefix("txs=").split("; target_update(")
    return evaluate(txs, {"make_optimizer": OptimizerConfig}), ast.literal_eval(rest.split(")")[0])
