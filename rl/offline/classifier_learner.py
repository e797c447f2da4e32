"""ClassifierLearner: one step of a reward classifier, and its judgement of held-out frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from rl.agents.continuous.augmentation import crop, draw_corners
from rl.common.optimizer_config import OptimizerConfig
from rl.common.trained import Trained
from rl.common.typing import Batch, Metrics
from rl.networks.reward_classifier import DROPOUT, BinaryClassifier
from rl.nn.dropout import KeepMasks
from rl.offline.frame_sets import FrameSet
from rl.offline.kept_maps import is_kept
from rl.utils.distributed import ProcessGroup
from rl.utils.precision import Precision


def likeliest(logits: Tensor) -> Tensor:
    """The class (N,) that logits (N, 1) of success, or (N, classes), speak for."""
    return (logits[:, 0] > 0).long() if logits.shape[-1] == 1 else logits.argmax(-1)


def _losses(logits: Tensor, labels: Tensor) -> Tensor:
    """The cross-entropies (N,) of labels (N,), which count the classes from 0."""
    if logits.shape[-1] == 1:
        return binary_cross_entropy_with_logits(logits[:, 0], labels, reduction="none")
    return cross_entropy(logits, labels.long(), reduction="none")


class ClassifierLearner:
    """A classifier with its optimizer.

    Args:
        network: with parameters, on `device`.
        learning_rate: of Adam.
        crop_padding: largest random shift in pixels.
        precision: of the loss.
        device: where it computes.
    """

    def __init__(
        self,
        network: BinaryClassifier,
        learning_rate: float,
        crop_padding: int,
        precision: Precision,
        device: torch.device,
    ) -> None:
        self.network = network
        self.device = device
        self.generator = Generator(device)
        self._trained = Trained(network, OptimizerConfig(learning_rate), precision, device)
        self._padding = crop_padding

    def update(self, batch: Batch) -> Metrics:
        """One step on `images` (B, height, width, channels) by camera, or maps as of `keep_maps`, and `labels` (B,)."""
        frames = self._augmented(batch["images"])
        widths = self.network.dropout_widths()
        rows = len(batch["labels"])
        keep = [torch.rand(rows, width, generator=self.generator, device=self.device) >= DROPOUT for width in widths]
        with self._trained.autocast():
            logits = self.network(frames, train=KeepMasks(keep)).float()
        loss = _losses(logits, batch["labels"]).mean()
        self._trained.step(loss)
        accuracy = (likeliest(logits) == batch["labels"]).float().mean()
        return {"loss": loss.detach(), "accuracy": accuracy}

    def _augmented(self, images: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Images (B, 1, height, width, channels) shifted at random, or of kept maps one shift for each row."""
        if is_kept(images):
            rows = torch.arange(len(next(iter(images.values()))), device=self.device)
            draws = {
                name: torch.randint(maps.shape[1], rows.shape, generator=self.generator, device=self.device)
                for name, maps in images.items()
            }
            return {name: maps[rows, draws[name]].float() for name, maps in images.items()}
        frames = {key: image[:, None] for key, image in images.items()}
        if not self._padding:
            return frames
        return crop(frames, draw_corners(frames, self._padding, self.generator), self._padding)

    def evaluate(self, frames: FrameSet, chunk: int) -> Metrics:
        """Balanced cross-entropy and accuracy, so that the commoner class does not hide the rarer."""
        logits = self.logits(frames, chunk)
        labels = torch.from_numpy(frames.labels)
        losses, right = _losses(logits, labels), (likeliest(logits) == labels).float()
        classes = [labels == label for label in np.unique(frames.labels)]
        return {
            "loss": torch.stack([losses[rows].mean() for rows in classes]).mean(),
            "accuracy": torch.stack([right[rows].mean() for rows in classes]).mean(),
        }

    def logits(self, frames: FrameSet, chunk: int) -> Tensor:
        """The logits (N, 1), or (N, classes) of an n-way classifier."""
        return torch.cat(list(self._chunks(frames, chunk)))

    @torch.no_grad()
    def _chunks(self, frames: FrameSet, chunk: int) -> Iterator[Tensor]:
        names = tuple(frames.images) if is_kept(frames.images) else self.network.encoder_def.image_keys
        for start in range(0, len(frames), chunk):
            part = {
                name: torch.from_numpy(frames.images[name][start : start + chunk]).to(self.device) for name in names
            }
            # A frame axis of one for images; of kept maps that of the image as it is.
            seen = {name: rows[:, 0].float() if is_kept(part) else rows[:, None] for name, rows in part.items()}
            yield self.network(seen).float().cpu()

    def reseed(self, seed: int) -> None:
        """Start the stream of crops and dropout anew."""
        self.generator.manual_seed(seed)

    def join(self, group: ProcessGroup) -> None:
        """Average gradients over a process group from now on; its main process broadcasts its state."""
        self._trained.join(group)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that a continuation needs."""
        return {"network": self.network.state_dict(), **self._trained.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state_dict`."""
        self.network.load_state_dict(state["network"])
        self._trained.load_state_dict(state)
