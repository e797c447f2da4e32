"""The train state: modules, their slow targets, and one optimizer for each loss. Original: common/common.py."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rl.common.optimizers import Adam, OptimizerConfig


def parameters_of(module: nn.Module) -> list[nn.Parameter]:
    """The trainable parameters of a module, each once, in definition order."""
    return [p for p in module.parameters() if p.requires_grad]


def copy_as_target(modules: nn.ModuleDict) -> nn.ModuleDict:
    """A copy that gradients never reach; parameters that are frozen anyway are shared, not copied."""
    frozen = {id(p): p for p in modules.parameters() if not p.requires_grad}
    return copy.deepcopy(modules, frozen).requires_grad_(False)


class TrainState:
    """Modules with targets and optimizers.

    Every loss has an optimizer. It covers the parameters of the module of the same name, or those in `parameters`.
    Where two optimizers cover one parameter, both compute their update from its old value, and the updates are summed.

    Args:
        modules: networks by name; they may share parts.
        optimizers: configuration for each loss.
        selective_optimizer_steps: whether an optimizer rests when its loss was not asked for. `False` reproduces SERL:
            every optimizer steps on every call, with gradients of 0 where there are none, so that momentum goes on
            moving the parameters, moments decay and schedules advance.
        parameters: what each optimizer covers, where this is not the module of its name.
    """

    def __init__(
        self,
        modules: nn.ModuleDict,
        optimizers: Mapping[str, OptimizerConfig],
        *,
        selective_optimizer_steps: bool = True,
        parameters: Mapping[str, Sequence[Tensor]] | None = None,
    ) -> None:
        self.modules = modules
        self.targets = copy_as_target(modules)
        self.selective_optimizer_steps = selective_optimizer_steps
        covered = parameters or {name: parameters_of(modules[name]) for name in optimizers}
        self.optimizers = {name: Adam(covered[name], config) for name, config in optimizers.items()}
        self._online: list[Tensor] = list(parameters_of(modules))
        slow = dict(self.targets.named_parameters())
        self._slow: list[Tensor] = [slow[name] for name, p in modules.named_parameters() if p.requires_grad]

    @torch.no_grad()
    def learning_rates(self) -> dict[str, Tensor]:
        """Learning rate of each optimizer's next step."""
        return {name: optimizer.learning_rate() for name, optimizer in self.optimizers.items()}

    def gradients(self, name: str, loss: Tensor) -> list[Tensor]:
        """Gradients of `loss` for what the optimizer `name` covers; 0 where it does not depend."""
        covered = self.optimizers[name].parameters
        found = torch.autograd.grad(loss, covered, allow_unused=True)
        return [torch.zeros_like(p) if g is None else g for g, p in zip(found, covered, strict=True)]

    @torch.no_grad()
    def apply_gradients(self, grads: Mapping[str, Sequence[Tensor]]) -> None:
        """One step of the optimizers named in `grads`; of all of them when steps are not selective."""
        stepping = {
            name: o for name, o in self.optimizers.items() if name in grads or not self.selective_optimizer_steps
        }
        updates = {
            name: optimizer.updates(grads.get(name) or [torch.zeros_like(p) for p in optimizer.parameters])
            for name, optimizer in stepping.items()
        }
        for name, optimizer in stepping.items():
            torch._foreach_add_(optimizer.parameters, updates[name])

    @torch.no_grad()
    def target_update(self, tau: float) -> None:
        """Move every target a share `tau` towards its parameter: Polyak averaging."""
        torch._foreach_lerp_(self._slow, self._online, tau)

    def state_dict(self) -> dict[str, Any]:
        """Parameters, targets, moments and counts."""
        return {
            "modules": self.modules.state_dict(),
            "targets": self.targets.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state_dict`."""
        self.modules.load_state_dict(state["modules"])
        self.targets.load_state_dict(state["targets"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
