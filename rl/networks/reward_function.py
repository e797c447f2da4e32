"""A trained reward classifier as a function of observations, with the facts that were stored beside its weights."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors.torch import save_file
from torch import Tensor

from rl.common.encoder_config import EncoderConfig
from rl.errors import CheckpointError, ConfigError, DataError
from rl.networks.reward_classifier import BinaryClassifier, make_classifier
from rl.utils.images import fit_square
from rl.utils.weights import read_weights

WEIGHTS = "classifier.safetensors"
FACTS = "classifier.json"
_FORMAT_VERSION = 1


class ClassifierFacts(BaseModel):
    """The content of `classifier.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int = _FORMAT_VERSION
    encoder: EncoderConfig
    """Encoder of the classifier, with the cameras that it looks at; its weights are all in the weight file, those of a
    frozen trunk too."""
    image_shape: tuple[int, int, int]
    """Height, width and channels of the images that it was trained on."""
    threshold: float
    """Probability from which on a frame is a success."""
    threshold_rule: str
    """How the threshold was chosen."""
    metrics: dict[str, float]
    """Metrics on episodes that neither trained nor chose the threshold."""
    episodes: dict[str, int]
    """Number of episodes that trained, chose the threshold and measured."""
    frames: dict[str, int]
    """Number of frames that trained, chose the threshold and measured."""
    sha256: str
    """Checksum of the weight file."""
    temperature: float = 1.0
    """Divisor of the network's logits that makes their probabilities those of held-out frames."""
    classes: tuple[str, ...] = ()
    """Classes of an n-way classifier, in the order of its logits; empty where it tells success from everything else."""

    @property
    def chance(self) -> float:
        """Balanced accuracy of guessing, or of always saying the same."""
        return 1 / len(self.classes) if self.classes else 0.5

    @property
    def may_as_well_guess(self) -> bool:
        """True when its figures are no better than chance, with 95 % confidence; False where it has none."""
        return self.metrics.get("balanced_accuracy_low", 1.0) <= self.chance


class RewardClassifier:
    """Tells from an observation whether the task is done.

    Args:
        network: the classifier, with weights.
        facts: what it was trained on and how good it is.
        device: where it runs.
    """

    def __init__(self, network: BinaryClassifier, facts: ClassifierFacts, device: torch.device) -> None:
        self.network = network.to(device).eval()
        self.facts = facts
        self.image_keys = facts.encoder.cameras()
        self.device = device

    @torch.inference_mode()
    def logits(self, images: Mapping[str, Any]) -> Tensor:
        """Calibrated logits of images (N, height, width, channels) by camera, of the size that it was trained on.

        Returns:
            (N,), of an n-way classifier (N, classes).
        """
        frames = {key: torch.as_tensor(images[key], device=self.device)[:, None] for key in self.image_keys}
        logits: Tensor = self.network(frames) / self.facts.temperature
        return logits if self.facts.classes else logits.squeeze(-1)

    def __call__(self, observation: Mapping[str, Any]) -> Tensor:
        """Logit (1,) of one observation of an environment, or (1, classes): what reward wrappers take.

        Images may lie anywhere in nested dicts under the names of their cameras, may have any square size, and of
        stacked frames (T, height, width, channels) the newest counts.

        Raises:
            DataError: a camera is missing.
        """
        side = self.facts.image_shape[0]
        images = {key: fit_square(find_image(observation, key), side)[None].copy() for key in self.image_keys}
        return self.logits(images).cpu()

    def probability(self, observation: Mapping[str, Any]) -> float:
        """Probability of success.

        Raises:
            ConfigError: it is an n-way classifier, and knows of no success.
        """
        if self.facts.classes:
            raise ConfigError(
                f"this classifier tells {', '.join(self.facts.classes)} apart, and knows of no success: choose one of "
                "them in Python, with envs.wrappers.reward_classifier.NWayRewardClassifier(env, classifier, class)"
            )
        return float(self(observation).double().sigmoid())

    def is_success(self, observation: Mapping[str, Any]) -> bool:
        """True if that probability reaches the threshold."""
        return self.probability(observation) >= self.facts.threshold


def find_image(observation: Mapping[str, Any], camera: str) -> np.ndarray:
    """The newest image (height, width, channels) of a camera, wherever it is in an observation.

    Raises:
        DataError: there is none.
    """
    if camera in observation:
        image = np.asarray(observation[camera])
        return image[-1] if image.ndim == 4 else image
    for inner in observation.values():
        if isinstance(inner, Mapping):
            try:
                return find_image(inner, camera)
            except DataError:
                continue
    raise DataError(f"the observation has no camera {camera!r}; it has: {', '.join(observation)}")


def save_reward_classifier(directory: Path, network: BinaryClassifier, facts: Mapping[str, Any]) -> ClassifierFacts:
    """Write weights and facts; the file of facts comes last, so where it is the weights are complete.

    Args:
        directory: where they go.
        network: the classifier.
        facts: the fields of `ClassifierFacts` but the checksum.
    """
    # The format refuses tensors that share memory: a trunk that cameras share is written once for each of them.
    weights = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in network.state_dict().items()}
    save_file(weights, directory / WEIGHTS)
    digest = hashlib.sha256((directory / WEIGHTS).read_bytes()).hexdigest()
    stored = ClassifierFacts(**facts, sha256=digest)
    (directory / FACTS).write_text(stored.model_dump_json(indent=2) + "\n")
    return stored


def load_reward_classifier(directory: str | os.PathLike[str], device: torch.device | str = "cpu") -> RewardClassifier:
    """The classifier that `robotkit-train classifier` wrote into a directory.

    Raises:
        CheckpointError: there is none, or it is damaged or of another version.
    """
    folder = Path(directory)
    try:
        facts = ClassifierFacts.model_validate_json((folder / FACTS).read_bytes())
    except (OSError, ValidationError) as error:
        raise CheckpointError(f"{folder} holds no reward classifier of this version: {error}") from error
    if facts.format_version != _FORMAT_VERSION:
        raise CheckpointError(
            f"{folder / FACTS} has format {facts.format_version}, this program reads {_FORMAT_VERSION}"
        )
    weights = read_weights(folder / WEIGHTS, facts.sha256)
    sample = sample_of(facts.encoder.cameras(), facts.image_shape)
    network = make_classifier(0, sample, facts.encoder, len(facts.classes) or 2, reads_trunk=False)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(f"{folder / WEIGHTS} does not fit the classifier in {FACTS}: {error}") from error
    return RewardClassifier(network, facts, torch.device(device))


def sample_of(image_keys: tuple[str, ...], image_shape: tuple[int, int, int]) -> dict[str, np.ndarray]:
    """Black images (1, 1, height, width, channels) by camera."""
    return {key: np.zeros((1, 1, *image_shape), np.uint8) for key in image_keys}
