"""A success classifier on camera images, trained on labelled frames and used as a reward."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from rl.common.encoder_config import EncoderConfig
from rl.common.encoders import frozen_trunk, load_trunk, make_encoder
from rl.common.encoding import EncodingWrapper
from rl.errors import CheckpointError, ConfigError
from rl.nn.dropout import Train, dropout
from rl.nn.layers import Dense, LayerNorm, materialise
from rl.utils.checkpoint import Checkpoints

DROPOUT = 0.1
LEARNING_RATE = 1e-4


class BinaryClassifier(nn.Module):
    """Encoder, Dense, dropout, layer norm, relu, one logit. Original: networks/reward_classifier.py.

    Args:
        encoder_def: encodes the observations.
        hidden_dim: width of the hidden layer.
    """

    flax_names: ClassVar[Mapping[str, str]] = {"hidden": "Dense_0", "norm": "LayerNorm_0", "logit": "Dense_1"}

    def __init__(self, encoder_def: EncodingWrapper, hidden_dim: int = 256) -> None:
        super().__init__()
        self.encoder_def = encoder_def
        self.hidden = Dense(hidden_dim)
        self.norm = LayerNorm()
        self.logit = Dense(1)

    def dropout_widths(self) -> list[int]:
        """Features under dropout, in the order in which their layers run."""
        return [*self.encoder_def.dropout_widths(), self.hidden.features]

    def forward(self, x: Mapping[str, Tensor], train: Train = False, is_encoded: bool = False) -> Tensor:
        """Logits (..., 1) or (..., classes) of observations; `is_encoded` takes the trunk's maps instead of images."""
        hidden = self.hidden(self.encoder_def(x, train=train, is_encoded=is_encoded))
        logits: Tensor = self.logit(relu(self.norm(dropout(hidden, DROPOUT, train))))
        return logits


class NWayClassifier(BinaryClassifier):
    """`BinaryClassifier` with a logit for each of `n_way` classes. Original: networks/reward_classifier.py.

    Args:
        encoder_def: encodes the observations.
        hidden_dim: width of the hidden layer.
        n_way: how many classes there are.
    """

    def __init__(self, encoder_def: EncodingWrapper, hidden_dim: int = 256, n_way: int = 3) -> None:
        super().__init__(encoder_def, hidden_dim)
        self.logit = Dense(n_way)


def create_classifier(
    key: int,
    sample: Mapping[str, Any],
    image_keys: Sequence[str],
    pretrained_encoder_path: str | os.PathLike[str] | None = None,
    pretrained_encoder_sha256: str | None = None,
    *,
    n_way: int = 2,
) -> tuple[BinaryClassifier, torch.optim.Adam]:
    """A classifier on one frozen ResNet-10 trunk with a head for each camera, and its optimizer.

    Args:
        key: seed of the initial parameters.
        sample: an observation, arrays or tensors; images (..., T, height, width, 3).
        image_keys: cameras that are looked at.
        pretrained_encoder_path: the trunk's weights, a `.safetensors` file of Flax paths; None leaves them random.
        pretrained_encoder_sha256: checksum of that file.
        n_way: how many classes it tells apart; with 2 it gives one logit, that of success.

    Raises:
        CheckpointError: the weights are not the ones that were meant, or do not fit.
    """
    path = None if pretrained_encoder_path is None else os.fspath(pretrained_encoder_path)
    config = EncoderConfig(
        "resnet-pretrained",
        tuple(image_keys),
        use_proprio=False,
        pretrained_path=path,
        pretrained_sha256=pretrained_encoder_sha256,
    )
    classifier = make_classifier(key, sample, config, n_way)
    trained = [parameter for parameter in classifier.parameters() if parameter.requires_grad]
    return classifier, torch.optim.Adam(trained, lr=LEARNING_RATE)


def make_classifier(
    key: int, sample: Mapping[str, Any], config: EncoderConfig, n_way: int = 2, *, reads_trunk: bool = True
) -> BinaryClassifier:
    """A classifier on any of the encoders.

    Args:
        key: seed of the initial parameters.
        sample: an observation, arrays or tensors; images (..., T, height, width, 3).
        config: the encoder.
        n_way: how many classes it tells apart; with 2 it gives one logit, that of success.
        reads_trunk: whether the published weights of a frozen encoder are read; not needed where all weights follow.

    Raises:
        ConfigError: the images are too small for the encoder.
        CheckpointError: the weights of a frozen encoder are not the ones that were meant, or do not fit.
        MissingExtra: the package of these weights is not installed.
    """
    encoder = make_encoder(config)
    classifier = BinaryClassifier(encoder) if n_way == 2 else NWayClassifier(encoder, n_way=n_way)
    try:
        materialise(classifier, _tensors(sample), generator=torch.Generator().manual_seed(key))
    except RuntimeError as error:
        shapes = ", ".join(f"{name} {tuple(sample[name].shape[-3:])}" for name in config.cameras())
        raise ConfigError(f"{shapes} may be too small for the encoder {config.encoder_type!r}: {error}") from error
    if reads_trunk:
        load_trunk(frozen_trunk(encoder), config)
    return classifier


def save_classifier(classifier: BinaryClassifier, checkpoint_path: str | os.PathLike[str], step: int) -> None:
    """Write the classifier with its checksum, for `load_classifier_func`."""
    Checkpoints(checkpoint_path).save(step, {"classifier": classifier.state_dict()})


def load_classifier_func(
    sample: Mapping[str, Any],
    image_keys: Sequence[str],
    checkpoint_path: str | os.PathLike[str],
    step: int | None = None,
    device: torch.device | str = "cpu",
    n_way: int = 2,
) -> Callable[[Mapping[str, Any]], Tensor]:
    """A saved classifier as a function of observations.

    Args:
        sample: an observation like those that it was trained on.
        image_keys: the cameras that it was trained on.
        checkpoint_path: the directory that `save_classifier` wrote.
        step: which one; None takes the newest.
        device: where it runs.
        n_way: how many classes it tells apart.

    Returns:
        A function of an observation, arrays or tensors, with or without batch axes, to logits (..., 1), or one for each
        class.

    Raises:
        CheckpointError: there is none, it is damaged, or it is of other cameras or image sizes.
    """
    classifier, _ = create_classifier(0, sample, image_keys, n_way=n_way)
    _, state = Checkpoints(checkpoint_path).load(step)
    _fill(classifier, state, checkpoint_path)
    classifier.to(device).eval()

    @torch.inference_mode()
    def logits(observation: Mapping[str, Any]) -> Tensor:
        values: Tensor = classifier({key: torch.as_tensor(observation[key], device=device) for key in image_keys})
        return values

    return logits


def _fill(classifier: BinaryClassifier, state: Mapping[str, Any], where: str | os.PathLike[str]) -> None:
    try:
        classifier.load_state_dict(state["classifier"])
    except (KeyError, RuntimeError) as error:
        raise CheckpointError(
            f"{os.fspath(where)} holds no classifier for these cameras and images: {error}"
        ) from error


def _tensors(observation: Mapping[str, Any]) -> dict[str, Tensor]:
    return {key: torch.as_tensor(value) for key, value in observation.items()}
