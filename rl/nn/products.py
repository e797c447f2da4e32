"""Products with a layer's weights, on a CPU by oneDNN: MKL, torch's default, leaves half of an AMD processor idle."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

HAS_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")  # type: ignore[no-untyped-call]
"""Whether this build of torch lets us call oneDNN."""

_SMALLEST = 1 << 22
"""Multiplications below which a product takes no longer than the call to oneDNN."""


def affine(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Map (..., in) to x W^T + b, (..., out), for a weight (out, in): `F.linear`, by whatever is fastest here."""
    if not _suits_onednn(x, weight):
        return F.linear(x, weight, bias)
    flat = x.reshape(-1, x.shape[-1])
    y: Tensor = _Affine.apply(flat, weight, bias) if torch.is_grad_enabled() else _onednn(flat, weight, bias)  # type: ignore[no-untyped-call]
    return y.view(*x.shape[:-1], len(weight))


def _suits_onednn(x: Tensor, weight: Tensor) -> bool:
    return (
        HAS_ONEDNN
        and x.device.type == weight.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and x.numel() * len(weight) >= _SMALLEST
        # Compiled and autocast products are the compiler's and autocast's to choose.
        and not torch.compiler.is_compiling()
        and not torch.is_autocast_enabled("cpu")
    )


def _onednn(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return product


class _Affine(torch.autograd.Function):
    """The product with its gradients, which are products again and so have gradients themselves."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _onednn(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad
        return (
            affine(grad, weight.t()) if of_x else None,
            affine(grad.t(), x.t()) if of_weight else None,
            grad.sum(0) if of_bias else None,
        )
