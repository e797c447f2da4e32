"""Adam with optax's semantics: learning-rate schedules, decoupled weight decay and clipping by the global norm."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from rl.common.optimizer_config import OptimizerConfig
from rl.errors import ConfigError

Schedule: TypeAlias = Callable[[Tensor], Tensor]
"""Learning rate for a step count (0-based, before its increment), both scalar tensors."""


def make_schedule(learning_rate: float, warmup_steps: int = 0, cosine_decay_steps: int | None = None) -> Schedule:
    """Linear warm-up from 0 over `warmup_steps`, then constant, or a cosine to 0 that ends at `cosine_decay_steps`.

    The first step of a warm-up has learning rate 0. `cosine_decay_steps` includes the warm-up.
    """

    def schedule(count: Tensor) -> Tensor:
        step = count.to(torch.float32)
        rate = torch.full_like(step, learning_rate)
        if cosine_decay_steps is not None:
            span = cosine_decay_steps - warmup_steps
            phase = ((step - warmup_steps) / span).clamp(0.0, 1.0)
            rate = rate * (0.5 * (1 + torch.cos(math.pi * phase)))
        if warmup_steps:
            rate = torch.where(step < warmup_steps, learning_rate * step / warmup_steps, rate)
        return rate

    return schedule


def clip_by_global_norm(grads: Sequence[Tensor], max_norm: float) -> list[Tensor]:
    """Scale `grads` by max_norm / norm where their joint norm is at least `max_norm`; no epsilon, as optax."""
    norm = torch.stack(torch._foreach_norm(list(grads))).norm()
    scale = torch.where(norm < max_norm, torch.ones_like(norm), max_norm / norm)
    return list(torch._foreach_mul(list(grads), scale))


class Adam:
    """Adam that returns its updates instead of applying them, so that several can act on shared parameters at once.

    Kingma and Ba 2015, algorithm 1; with weight decay Loshchilov and Hutter 2019, algorithm 2.

    Args:
        parameters: what to optimise; moments are kept for each.
        config: learning rate, schedule, decay and clipping.
        betas: decay rates of the two moments.
        eps: added to the root of the second moment.
    """

    def __init__(
        self,
        parameters: Sequence[Tensor],
        config: OptimizerConfig,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        if config.cosine_decay_steps == "run":
            raise ConfigError('cosine_decay_steps="run" is for runs whose length is known: give a number of steps here')
        self.parameters = list(parameters)
        self.config = config
        self.betas = betas
        self.eps = eps
        self.schedule = make_schedule(config.learning_rate, config.warmup_steps, config.cosine_decay_steps)
        self.mu = [torch.zeros_like(p, requires_grad=False) for p in self.parameters]
        self.nu = [torch.zeros_like(p, requires_grad=False) for p in self.parameters]
        device = self.parameters[0].device
        self.count = torch.zeros((), dtype=torch.int32, device=device)

    def learning_rate(self) -> Tensor:
        """Learning rate of the next step, a scalar tensor."""
        return self.schedule(self.count)

    def updates(self, grads: Sequence[Tensor]) -> list[Tensor]:
        """The changes of the parameters for `grads`; advances the moments and the count."""
        if self.config.clip_grad_norm is not None:
            grads = clip_by_global_norm(grads, self.config.clip_grad_norm)
        rate = self.learning_rate()
        self.count.add_(1)
        # The compiler joins the written-out algorithm into one pass by itself; torch has one ready for a CPU.
        is_ready = self.count.device.type == "cpu" and not torch.compiler.is_compiling()
        steps = (self._joined if is_ready else self._adam)(list(grads), rate)
        if self.config.weight_decay:
            torch._foreach_sub_(steps, torch._foreach_mul(self.parameters, rate * self.config.weight_decay))
        return steps

    def _joined(self, grads: list[Tensor], rate: Tensor) -> list[Tensor]:
        """Compute what `_adam` does, in one pass over the memory instead of eight."""
        steps = [torch.zeros_like(mu) for mu in self.mu]
        # It walks through the memory of all its arguments in step, whatever their strides say.
        grads = [
            grad if grad.stride() == mu.stride() else torch.empty_like(mu).copy_(grad)
            for grad, mu in zip(grads, self.mu, strict=True)
        ]
        beta1, beta2 = self.betas
        # An infinite count turns its own correction of the bias off: optax's is rounded to float32, 1e-5 at first.
        never = [torch.full((), torch.inf)] * len(steps)
        count = self.count.to(torch.float32)
        root = (1 - beta2**count).sqrt()
        torch._fused_adam_(
            steps, grads, self.mu, self.nu, [], never,
            lr=rate * root / (1 - beta1**count), beta1=beta1, beta2=beta2, weight_decay=0.0,
            eps=self.eps * root.item(), amsgrad=False, maximize=False,
        )  # fmt: skip
        return steps

    def _adam(self, grads: list[Tensor], rate: Tensor) -> list[Tensor]:
        beta1, beta2 = self.betas
        count = self.count.to(torch.float32)
        torch._foreach_lerp_(self.mu, grads, 1 - beta1)
        torch._foreach_mul_(self.nu, beta2)
        torch._foreach_addcmul_(self.nu, grads, grads, 1 - beta2)
        # The scalars are joined first: per element one root, one division and two products remain.
        scale = torch._foreach_mul(torch._foreach_sqrt(self.nu), (1 - beta2**count).rsqrt())
        torch._foreach_add_(scale, self.eps)
        return list(torch._foreach_div(torch._foreach_mul(self.mu, -rate / (1 - beta1**count)), scale))

    def state_dict(self) -> dict[str, Any]:
        """Moments and count: what an exact continuation needs."""
        return {"mu": list(self.mu), "nu": list(self.nu), "count": self.count}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take moments and count over from `state_dict`."""
        for target, source in zip((*self.mu, *self.nu), (*state["mu"], *state["nu"]), strict=True):
            target.copy_(source)
        self.count.copy_(state["count"])


def make_optimizer(
    parameters: Sequence[Tensor],
    learning_rate: float = 3e-4,
    warmup_steps: int = 0,
    cosine_decay_steps: int | None = None,
    weight_decay: float | None = None,
    clip_grad_norm: float | None = None,
) -> Adam:
    """Adam over `parameters`; the arguments after the first are SERL's. Original: common/optimizers.py."""
    config = OptimizerConfig(learning_rate, warmup_steps, cosine_decay_steps, weight_decay, clip_grad_norm)
    return Adam(parameters, config)
