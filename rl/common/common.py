"""The train state: modules, their slow targets, and one optimizer for each loss. Original: common/common.py."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rl.common.optimizer_config import OptimizerConfig
from rl.common.optimizers import Adam
from rl.utils.distributed import SINGLE_PROCESS, ProcessGroup
from rl.utils.performance import LossScale


def parameters_of(module: nn.Module) -> list[nn.Parameter]:
    """The trainable parameters of a module, each once, in definition order."""
    return [p for p in module.parameters() if p.requires_grad]


def copy_as_target(modules: nn.ModuleDict) -> nn.ModuleDict:
    """A copy that gradients never reach; parameters that are frozen anyway are shared, not copied."""
    frozen = {id(p): p for p in modules.parameters() if not p.requires_grad}
    return copy.deepcopy(modules, frozen).requires_grad_(False)


def gradients_of(loss: Tensor, parameters: Sequence[Tensor], *, retain_graph: bool = False) -> list[Tensor]:
    """Gradients of `loss` for the parameters; 0 where it does not depend."""
    found = torch.autograd.grad(loss, list(parameters), allow_unused=True, retain_graph=retain_graph)
    return [torch.zeros_like(p) if g is None else g for g, p in zip(found, parameters, strict=True)]


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
        scales_losses: whether losses are scaled before their gradients are taken, as float16 needs it; a step whose
            gradients overflow is then left out.

    `group` holds the processes that every gradient is averaged over; this one alone by default.
    """

    def __init__(
        self,
        modules: nn.ModuleDict,
        optimizers: Mapping[str, OptimizerConfig],
        *,
        selective_optimizer_steps: bool = True,
        parameters: Mapping[str, Sequence[Tensor]] | None = None,
        scales_losses: bool = False,
    ) -> None:
        self.group: ProcessGroup = SINGLE_PROCESS
        self.modules = modules
        self.targets = copy_as_target(modules)
        self.selective_optimizer_steps = selective_optimizer_steps
        covered = parameters or {name: parameters_of(modules[name]) for name in optimizers}
        self.optimizers = {name: Adam(covered[name], config) for name, config in optimizers.items()}
        self._online: list[Tensor] = list(parameters_of(modules))
        slow = dict(self.targets.named_parameters())
        self._slow: list[Tensor] = [slow[name] for name, p in modules.named_parameters() if p.requires_grad]
        self.loss_scale = LossScale(self._online[0].device) if scales_losses else None

    @torch.no_grad()
    def learning_rates(self) -> dict[str, Tensor]:
        """Learning rate of each optimizer's next step."""
        return {name: optimizer.learning_rate() for name, optimizer in self.optimizers.items()}

    def gradients(self, name: str, loss: Tensor, *, retain_graph: bool = False) -> list[Tensor]:
        """Gradients of `loss` for what the optimizer `name` covers; 0 where it does not depend.

        They are still multiplied by the loss scale, where there is one.
        """
        scaled = loss if self.loss_scale is None else loss * self.loss_scale.scale
        return gradients_of(scaled, self.optimizers[name].parameters, retain_graph=retain_graph)

    @torch.no_grad()
    def apply_gradients(self, grads: Mapping[str, Sequence[Tensor]]) -> None:
        """One step of the optimizers named in `grads`; of all of them when steps are not selective."""
        if self.group.size > 1:
            grads = {name: self.group.average(found) for name, found in grads.items()}
        if self.loss_scale is not None and not self.loss_scale.unscale(grads):
            return
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
            **({} if self.loss_scale is None else {"loss_scale": self.loss_scale.state_dict()}),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state_dict`."""
        self.modules.load_state_dict(state["modules"])
        self.targets.load_state_dict(state["targets"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        if self.loss_scale is not None:
            self.loss_scale.load_state_dict(state["loss_scale"])

    def join(self, group: ProcessGroup) -> None:
        """Average gradients over a process group from now on; its main process broadcasts its state."""
        moments = [tensor for o in self.optimizers.values() for tensor in (*o.mu, *o.nu, o.count)]
        scale = [] if self.loss_scale is None else list(self.loss_scale.state_dict().values())
        networks = [*self.modules.state_dict().values(), *self.targets.state_dict().values()]
        group.broadcast([*networks, *moments, *scale])
        self.group = group
