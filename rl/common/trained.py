"""Trained: one module with one optimizer, for training with a single loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from rl.common.common import gradients_of, parameters_of
from rl.common.optimizer_config import OptimizerConfig
from rl.common.optimizers import Adam
from rl.utils.distributed import SINGLE_PROCESS, ProcessGroup
from rl.utils.performance import LossScale, autocast
from rl.utils.precision import Precision


class Trained:
    """Steps a module, alone or with other processes, in any precision.

    Args:
        module: with parameters, on `device`.
        config: of the optimizer.
        precision: of the matrix products in `autocast()`.
        device: where it computes.

    `group` holds the processes that gradients are averaged over; this one alone by default.
    """

    def __init__(self, module: nn.Module, config: OptimizerConfig, precision: Precision, device: torch.device) -> None:
        self.module = module
        self.optimizer = Adam(parameters_of(module), config)
        self.loss_scale = LossScale(device) if precision == "float16" else None
        self.group: ProcessGroup = SINGLE_PROCESS
        self._precision: Precision = precision
        self._device = device

    def autocast(self) -> torch.autocast:
        """The context in which the module is to be called."""
        return autocast(self._device, self._precision)

    def step(self, loss: Tensor) -> None:
        """Move the parameters down the mean gradient of the losses of all processes."""
        parameters = self.optimizer.parameters
        scaled = loss if self.loss_scale is None else loss * self.loss_scale.scale
        grads = self.group.average(gradients_of(scaled, parameters))
        with torch.no_grad():
            if self.loss_scale is None or self.loss_scale.unscale({"": grads}):
                torch._foreach_add_(parameters, self.optimizer.updates(grads))

    def join(self, group: ProcessGroup) -> None:
        """Average gradients over a process group from now on; its main process broadcasts its state."""
        optimizer = self.optimizer
        group.broadcast([*self.module.state_dict().values(), *optimizer.mu, *optimizer.nu, optimizer.count])
        self.group = group

    def state_dict(self) -> dict[str, Any]:
        """The state that a resume needs, without the module itself."""
        scale = {} if self.loss_scale is None else {"loss_scale": self.loss_scale.state_dict()}
        return {"optimizer": self.optimizer.state_dict(), **scale}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state_dict`."""
        self.optimizer.load_state_dict(state["optimizer"])
        if self.loss_scale is not None:
            self.loss_scale.load_state_dict(state["loss_scale"])
