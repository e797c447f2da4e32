"""Dense layer and layer norm that infer their width as Flax does, and that can hold a whole ensemble as one weight.

A layer's parameters appear at the first call, or in `materialise`. A stacked layer of E members has weights
(E, out, in), takes either one input shared by all members (..., in) or one for each (E, ..., in), and returns
(E, ..., out).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self, TypeVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from torch.nn.parameter import UninitializedParameter

from rl.nn.flax_params import DENSE_LEAVES, NORM_LEAVES, FlaxLeaf
from rl.nn.initializers import KernelInit, lecun_normal
from rl.nn.products import affine

ModuleT = TypeVar("ModuleT", bound=nn.Module)


def unshaped() -> nn.Parameter:
    """A parameter whose shape is still to be inferred."""
    return UninitializedParameter()  # type: ignore[return-value]


class InferredModule(nn.Module, ABC):
    """A module whose parameters' shapes follow from its first input."""

    weight: nn.Parameter
    bias: nn.Parameter
    ensemble_size: int | None = None

    @property
    def is_materialised(self) -> bool:
        """True once the parameters have shapes and values."""
        return not isinstance(self.weight, UninitializedParameter)

    def as_ensemble(self, size: int, *, shared_input: bool) -> Self:
        """Turn this layer into `size` independent members; only before it has parameters."""
        if self.is_materialised:
            raise RuntimeError(f"{type(self).__name__} already has parameters: stack it before its first call")
        self.ensemble_size = size
        self.shared_input = shared_input
        return self

    def _materialise(self, *shapes: tuple[int, ...]) -> None:
        members = () if self.ensemble_size is None else (self.ensemble_size,)
        for parameter, shape in zip((self.weight, self.bias), shapes, strict=True):
            if isinstance(parameter, UninitializedParameter):
                parameter.materialize((*members, *shape))
        self.init_parameters(None)

    @abstractmethod
    def init_parameters(self, generator: Generator | None) -> None:
        """Draw new initial values."""


class Dense(InferredModule):
    """Affine map y = x W^T + b with Flax's `features` and initialisation.

    Args:
        features: length of the output.
        kernel_init: fills each member's weight (features, in); biases start at 0.
    """

    flax_leaves: ClassVar[Mapping[str, FlaxLeaf]] = DENSE_LEAVES

    def __init__(self, features: int, kernel_init: KernelInit = lecun_normal) -> None:
        super().__init__()
        self.features = features
        self.kernel_init = kernel_init
        self.shared_input = True
        self.weight = unshaped()
        self.bias = unshaped()

    def init_parameters(self, generator: Generator | None) -> None:
        """Draw the weight, member by member, and zero the bias."""
        for member in self.weight.data.view(-1, *self.weight.shape[-2:]):
            self.kernel_init(member, generator)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in) to (..., out); stacked: (..., in) or (E, ..., in) to (E, ..., out)."""
        if not self.is_materialised:
            self._materialise((self.features, x.shape[-1]), (self.features,))
        if self.ensemble_size is None:
            return affine(x, self.weight, self.bias)
        return self._shared(x) if self.shared_input else self._stacked(x)

    def _shared(self, x: Tensor) -> Tensor:
        # All members read one input: one product with the weights below each other. The bias is added apart, here and
        # below, because the compiler then joins it with what follows; inside the product it costs a pass of its own.
        y = torch.unflatten(affine(x, self.weight.flatten(0, 1)), -1, (-1, self.features)).movedim(-2, 0)
        return y + self.bias.view(-1, *(1,) * (x.dim() - 1), self.features)

    def _stacked(self, x: Tensor) -> Tensor:
        flat = x.reshape(x.shape[0], -1, x.shape[-1])
        y = torch.bmm(flat, self.weight.transpose(1, 2)) + self.bias.unsqueeze(1)
        return y.reshape(*x.shape[:-1], self.features)


class LayerNorm(InferredModule):
    """Layer normalisation over the last axis with Flax's epsilon of 1e-6 and, stacked, a scale and bias per member."""

    flax_leaves: ClassVar[Mapping[str, FlaxLeaf]] = NORM_LEAVES

    def __init__(self, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.weight = unshaped()
        self.bias = unshaped()

    def init_parameters(self, generator: Generator | None) -> None:
        """Scale 1, bias 0; nothing is drawn."""
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (..., features); stacked: (E, ..., features)."""
        features = (x.shape[-1],)
        if not self.is_materialised:
            self._materialise(features, features)
        if self.ensemble_size is None:
            return F.layer_norm(x, features, self.weight, self.bias, self.eps)
        shape = (-1, *(1,) * (x.dim() - 2), *features)
        return torch.addcmul(self.bias.view(shape), F.layer_norm(x, features, eps=self.eps), self.weight.view(shape))


def init_parameters(module: nn.Module, generator: Generator | None = None) -> None:
    """Draw new initial values for every layer of `module` that knows how, in definition order."""
    for layer in module.modules():
        init = getattr(layer, "init_parameters", None)
        if init is not None:
            init(generator)


def materialise(module: ModuleT, *inputs: Any, generator: Generator | None = None) -> ModuleT:
    """Give `module` its parameters by calling it once on sample inputs, then initialise them from `generator`."""
    with torch.no_grad():
        module(*inputs)
    init_parameters(module, generator)
    return module
