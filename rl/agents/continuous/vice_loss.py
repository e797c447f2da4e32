"""The loss of VICE's classifier: mixup of feature maps, label smoothing, gradient penalty. Original: vice.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from rl.agents.continuous.augmentation import Corners
from rl.agents.continuous.sac_losses import Masks
from rl.agents.continuous.vice_config import ViceConfig
from rl.common.typing import Metrics
from rl.networks.classifier import BinaryClassifier
from rl.nn.dropout import KeepMasks

Maps = Mapping[str, Tensor]
"""Feature maps (N, height, width, channels) of each camera."""


@dataclass(frozen=True)
class ViceNoise:
    """Every random number of one update of the classifier on a batch of B."""

    crops: Corners
    """Crop corners of the images, (B, 2) or (B, T, 2)."""
    mixup: Tensor
    """Share of the first of two mixed samples, in [0, 1], ()."""
    permutation: Tensor
    """Indices of the sample that is mixed into each sample, (2 B,) int64."""
    interpolation: Tensor
    """Where between two mixed samples the gradient is penalised, (B,)."""
    mixup_keep: Masks = ()
    """Dropout masks (2 B, ...) of the classification."""
    penalty_keep: Masks = ()
    """Dropout masks of the penalised gradient, one for all samples, (...,)."""


def smoothed_labels(half: int, smoothing: float, like: Tensor) -> Tensor:
    """Labels (2 half,): successes first, then failures."""
    labels = torch.cat((like.new_ones(half), like.new_zeros(half)))
    return labels * (1 - smoothing) + 0.5 * smoothing


def input_gradients(classifier: BinaryClassifier, maps: Maps, keep: Masks) -> Tensor:
    """Gradients of each sample's logit for its maps, (cameras * N, -1); differentiable."""
    points = {key: value.detach().requires_grad_() for key, value in maps.items()}
    logits = classifier(points, train=KeepMasks(keep), classify_encoded=True)
    gradients = torch.autograd.grad(logits.sum(), list(points.values()), create_graph=True)
    return torch.cat([gradient.flatten(1) for gradient in gradients])


def vice_loss(classifier: BinaryClassifier, maps: Maps, noise: ViceNoise, config: ViceConfig) -> tuple[Tensor, Metrics]:
    """Loss of the classifier on maps whose first half shows success.

    All cameras of a sample are mixed alike. The original mixed each camera on its own and kept the labels of the last.
    """
    share, order = noise.mixup, noise.permutation
    size = len(order)
    labels = smoothed_labels(size // 2, config.label_smoothing, share)
    mixed = {key: share * value + (1 - share) * value[order] for key, value in maps.items()}
    logits = classifier(mixed, train=KeepMasks(noise.mixup_keep), classify_encoded=True)
    own, other = (F.binary_cross_entropy_with_logits(logits, target) for target in (labels, labels[order]))
    bce = share * own + (1 - share) * other
    norms = _gradient_norms(classifier, mixed, noise)
    loss = bce + config.gradient_penalty * (norms - 1).square().mean()
    return loss, {"bce_loss": bce.detach(), "grad_norm": norms.detach().mean()}


def _gradient_norms(classifier: BinaryClassifier, mixed: Maps, noise: ViceNoise) -> Tensor:
    """Norms of the gradients between the two halves of the mixed samples."""
    weight = noise.interpolation[:, None, None, None]
    halves = {key: value.chunk(2) for key, value in mixed.items()}
    between = {key: weight * first + (1 - weight) * second for key, (first, second) in halves.items()}
    return (input_gradients(classifier, between, noise.penalty_keep).square() + 1e-6).sum(1).sqrt()
