"""Faster arithmetic with lower precision: tensor cores, autocast and the loss scale of float16."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from rl.utils.precision import Precision

_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def tune_backends(device: torch.device) -> None:
    """Let float32 products on a GPU use the tensor cores, and cuDNN try its convolutions and keep the fastest.

    Both change rounding: TensorFloat32 has 10 bits of mantissa where float32 has 23.
    """
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """A context in which matrix products run in `precision`; with float32 it does nothing."""
    dtype = _DTYPES.get(precision)
    return torch.autocast(device.type, dtype or torch.bfloat16, enabled=dtype is not None)


class LossScale:
    """Keeps small float16 gradients from becoming 0: losses are scaled up, gradients down, and overflows skipped.

    Micikevicius et al. 2018 (arXiv:1710.03740), section 3.2, with the schedule of torch's `GradScaler`. That class
    wants a torch optimizer; the optimizers here return their updates, so they are scaled here.

    Args:
        device: where the losses are.
        first: initial scale.
        growth_interval: steps without an overflow after which the scale doubles; an overflow halves it.
    """

    def __init__(self, device: torch.device, first: float = 65536.0, growth_interval: int = 2000) -> None:
        self.scale = torch.full((), first, device=device)
        self._steps = torch.zeros((), dtype=torch.int32, device=device)
        self._growth_interval = growth_interval

    def unscale(self, grads: Mapping[str, Sequence[Tensor]]) -> bool:
        """Divide gradients by the scale, in place, and adapt it; False when one overflowed: skip this step."""
        every = [grad for group in grads.values() for grad in group]
        overflow = torch.zeros((), device=self.scale.device)
        torch._amp_foreach_non_finite_check_and_unscale_(every, overflow, self.scale.double().reciprocal().float())
        torch._amp_update_scale_(self.scale, self._steps, overflow, 2.0, 0.5, self._growth_interval)
        return not bool(overflow)

    def state_dict(self) -> dict[str, Any]:
        """Scale and count."""
        return {"scale": self.scale, "steps": self._steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state_dict`."""
        self.scale.copy_(state["scale"])
        self._steps.copy_(state["steps"])
