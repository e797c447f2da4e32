"""Encoders of an observation's images and state into one feature vector: plain, with a goal image, with language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from rl.errors import ConfigError
from rl.nn.dropout import Train
from rl.nn.initializers import xavier_uniform
from rl.nn.layers import Dense, LayerNorm
from rl.vision.layers import from_batch, to_batch
from rl.vision.pooling import PooledEncoder
from rl.vision.resnet_v1 import PreTrainedResNetEncoder

Observation = Mapping[str, Tensor]
"""Images (..., height, width, channels) and vectors (..., length) by name."""


MAP = "_map"
"""Suffix of a camera's name where an observation holds its feature map instead of its image."""


def stack_frames(images: Tensor) -> Tensor:
    """Put the frames of (..., T, height, width, channels) on the channel axis: (..., height, width, T * channels)."""
    return images.movedim(-4, -2).flatten(-2)


class EncodingWrapper(nn.Module):
    """Encodes each camera, concatenates in the order of `image_keys`, and appends encoded proprioception.

    Two properties of the original are kept because trained agents depend on them: `stop_gradient` blocks the image
    features but not the proprioceptive layer, and dropout inside the encoders follows the caller's `train` (SERL's
    critic never sets it, its policy does).

    Args:
        encoder: image encoder of each camera. A frozen trunk may be shared between them.
        use_proprio: whether `state` is part of the encoding.
        proprio_latent_dim: length of the encoded state.
        enable_stacking: observations have a frame axis, which is put on the channels: (..., T, H, W, C), (..., T, D).
        image_keys: cameras that are encoded, in this order.
        recomputes: whether feature maps are computed again for their gradients instead of being kept until then.
    """

    flax_names: ClassVar[Mapping[str, str]] = {"proprio": "Dense_0", "proprio_norm": "LayerNorm_0"}
    accepts_stop_gradient = True

    def __init__(
        self,
        encoder: Mapping[str, nn.Module],
        use_proprio: bool,
        proprio_latent_dim: int = 64,
        enable_stacking: bool = False,
        image_keys: Sequence[str] = ("image",),
        recomputes: bool = False,
    ) -> None:
        super().__init__()
        missing = [key for key in image_keys if key not in encoder]
        if missing:
            raise ConfigError(f"no encoder for the cameras {missing}. There are encoders for: {', '.join(encoder)}")
        self.encoder = nn.ModuleDict({key: encoder[key] for key in image_keys})
        self.image_keys = tuple(image_keys)
        self.enable_stacking = enable_stacking
        self.recomputes = recomputes
        self.proprio = Dense(proprio_latent_dim, xavier_uniform) if use_proprio else None
        self.proprio_norm = LayerNorm() if use_proprio else None
        self.state_layer: nn.Module | None = None
        """Layer in front of the proprioceptive one, for the flattened state; None for none."""

    def forward(
        self, observations: Observation, train: Train = False, stop_gradient: bool = False, is_encoded: bool = False
    ) -> Tensor:
        """Encode observations, with or without a batch axis.

        Args:
            observations: the cameras' images or what `encode_maps` made of them, and `state` with `use_proprio`.
            train: whether dropout is active.
            stop_gradient: let no gradient into the image encoders.
            is_encoded: the images are already feature maps of the frozen trunk.

        Returns:
            (features,) or (batch, features).
        """
        parts = [self._encode_camera(key, observations, train, is_encoded) for key in self.image_keys]
        encoded = torch.cat(parts, dim=-1)
        if stop_gradient:
            encoded = encoded.detach()
        if self.proprio is None or self.proprio_norm is None:
            return encoded
        state = observations["state"].flatten(-2) if self.enable_stacking else observations["state"]
        state = state if self.state_layer is None else self.state_layer(state)
        return torch.cat((encoded, torch.tanh(self.proprio_norm(self.proprio(state)))), dim=-1)

    def frozen_features(self, observations: Observation) -> dict[str, Tensor]:
        """The observations with each image replaced by its trunk's feature map, as `is_encoded` takes them."""
        return dict(observations) | {
            key: self._pretrained(key).features(self._stacked(observations[key])) for key in self.image_keys
        }

    def encode_maps(self, observations: Observation) -> dict[str, Tensor]:
        """A batch of observations with each image replaced by its encoder's feature map before any pooling.

        `forward` gives the same for them as for the images. Calls that share the encoder share this work, and gradients
        flow through the maps into the encoder.
        """
        maps = {
            key + MAP: self._feature_map(self._camera(key), self._stacked(observations[key]))
            for key in self.image_keys
            if key + MAP not in observations
        }
        return {key: value for key, value in observations.items() if key not in self.image_keys} | maps

    def arrange_maps(self, observations: Observation) -> dict[str, Tensor]:
        """A batch of observations whose feature maps lie in memory as `PooledEncoder.arrange` wants them."""
        held = {key + MAP: self._camera(key) for key in self.image_keys if key + MAP in observations}
        return dict(observations) | {name: camera.arrange(observations[name]) for name, camera in held.items()}

    def dropout_widths(self) -> list[int]:
        """Features under dropout, of each encoder that has it, in the order in which they run."""
        return [width for key in self.image_keys if (width := self._camera(key).dropout_width)]

    def _encode_camera(self, key: str, observations: Observation, train: Train, is_encoded: bool) -> Tensor:
        if key + MAP in observations:
            return self._camera(key).head(observations[key + MAP], train)
        features: Tensor
        if is_encoded:
            features = self._pretrained(key)(observations[key], encode=False, train=train)
            return features
        images = self._stacked(observations[key])
        if not self.recomputes:
            features = self.encoder[key](images, train=train)
            return features
        batch, lead = to_batch(images)
        camera = self._camera(key)
        return from_batch(camera.head(self._feature_map(camera, batch), train), lead)

    def _feature_map(self, camera: PooledEncoder, images: Tensor) -> Tensor:
        if not self.recomputes:
            return camera.feature_map(images)
        maps: Tensor = checkpoint(camera.feature_map, images, use_reentrant=False, preserve_rng_state=False)
        return maps

    def _camera(self, key: str) -> PooledEncoder:
        encoder = self.encoder[key]
        if not isinstance(encoder, PooledEncoder):
            raise ConfigError(f"camera {key!r} has a {type(encoder).__name__}, which is no PooledEncoder")
        return encoder

    def _stacked(self, image: Tensor) -> Tensor:
        return stack_frames(image) if self.enable_stacking else image

    def _pretrained(self, key: str) -> PreTrainedResNetEncoder:
        encoder = self.encoder[key]
        if not isinstance(encoder, PreTrainedResNetEncoder):
            raise ConfigError(
                f"camera {key!r} has a {type(encoder).__name__}, whose features change with training: "
                "encoded images need a PreTrainedResNetEncoder"
            )
        return encoder


def _split_history(image: Tensor) -> tuple[Tensor, torch.Size]:
    """Frames of (batch, [T,] H, W, C) in one axis, and the leading axes."""
    return image.flatten(0, -4), image.shape[:-3]


def _repeat_for_history(goal: Tensor, lead: torch.Size) -> Tensor:
    """Return one goal per sample (batch, ...) for each of the sample's frames, in `_split_history`'s order."""
    return goal if len(lead) == 1 else goal.repeat_interleave(lead[1], dim=0)


class _GoalWrapper(nn.Module):
    """The base of goal- and language-conditioned encodings: frames encoded one by one, raw proprioception appended."""

    def __init__(self, encoder: nn.Module, use_proprio: bool, stop_gradient: bool) -> None:
        super().__init__()
        self.encoder = encoder
        self.use_proprio = use_proprio
        self.stop_gradient = stop_gradient

    def _finish(self, encoding: Tensor, lead: torch.Size, observations: Observation) -> Tensor:
        encoding = from_batch(encoding, lead).flatten(1)
        if self.stop_gradient:
            encoding = encoding.detach()
        return torch.cat((encoding, observations["proprio"]), dim=-1) if self.use_proprio else encoding


class GCEncodingWrapper(_GoalWrapper):
    """Encodes an image with a goal image: on one channel axis (early), or each by its own encoder (late).

    Late fusion of an observation history encodes the goal once and repeats it for each frame; the original crashed.

    Args:
        encoder: encoder of the image, or of image and goal together.
        goal_encoder: encoder of the goal for late fusion; None fuses early.
        use_proprio: whether `proprio` is appended as it is.
        stop_gradient: let no gradient into the encoders.
    """

    def __init__(
        self, encoder: nn.Module, goal_encoder: nn.Module | None, use_proprio: bool, stop_gradient: bool
    ) -> None:
        super().__init__(encoder, use_proprio, stop_gradient)
        self.goal_encoder = goal_encoder

    def forward(self, observations_and_goals: tuple[Observation, Observation]) -> Tensor:
        """Encode observations and goals: `image` (batch, [T,] H, W, C) and (batch, H, W, C), to (batch, features)."""
        observations, goals = observations_and_goals
        images, lead = _split_history(observations["image"])
        if self.goal_encoder is None:
            goal = _repeat_for_history(goals["image"], lead)
            return self._finish(self.encoder(torch.cat((images, goal), dim=-1)), lead, observations)
        goal = _repeat_for_history(self.goal_encoder(goals["image"]), lead)
        return self._finish(torch.cat((self.encoder(images), goal), dim=-1), lead, observations)


class LCEncodingWrapper(_GoalWrapper):
    """Encodes an image with an encoder that is conditioned on an embedded instruction.

    Args:
        encoder: takes `cond_var`, as a ResNetEncoder with FiLM does.
        use_proprio: whether `proprio` is appended as it is.
        stop_gradient: let no gradient into the encoder.
    """

    def forward(self, observations_and_goals: tuple[Observation, Observation]) -> Tensor:
        """Encode `image` (batch, [T,] H, W, C) given the goals' `language` (batch, D), to (batch, features)."""
        observations, goals = observations_and_goals
        images, lead = _split_history(observations["image"])
        language = _repeat_for_history(goals["language"], lead)
        return self._finish(self.encoder(images, cond_var=language), lead, observations)
