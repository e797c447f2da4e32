"""VICE's success classifier on a frozen trunk, which can also run in two halves for mixup of features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from rl.common.encoding import EncodingWrapper, stack_frames
from rl.errors import SchemaMismatch
from rl.nn.dropout import Train
from rl.nn.layers import Dense
from rl.vision.resnet_v1 import trunk_features


class BinaryClassifier(nn.Module):
    """Trunk, per-camera heads, MLP, one logit. Fu et al. 2018 (arXiv:1805.11686); original: networks/classifier.py.

    Args:
        pretrained_encoder: the frozen trunk, the one that the heads of `encoder` share.
        encoder: encodes the cameras' images or feature maps.
        network: MLP on the encoding.
        enable_stacking: images have a frame axis (..., T, height, width, 3).
    """

    flax_names: ClassVar[Mapping[str, str]] = {"dense": "Dense_0"}

    def __init__(
        self, pretrained_encoder: nn.Module, encoder: EncodingWrapper, network: nn.Module, enable_stacking: bool = False
    ) -> None:
        super().__init__()
        self.pretrained_encoder = pretrained_encoder
        self.encoder = encoder
        self.network = network
        self.enable_stacking = enable_stacking
        self.dense = Dense(1)

    def forward(
        self,
        x: Tensor | Mapping[str, Tensor],
        train: Train = False,
        return_encoded: bool = False,
        classify_encoded: bool = False,
    ) -> Tensor:
        """Classify observations, or run one half of it.

        Args:
            x: observations by name; one camera's images with `return_encoded`; feature maps by name with
                `classify_encoded`.
            train: whether dropout is active.
            return_encoded: return the trunk's feature map of the images `x`.
            classify_encoded: `x` holds feature maps instead of images.

        Returns:
            Logits (batch,), a scalar for a batch of one; or a feature map (batch, height', width', channels).
        """
        if isinstance(x, Tensor) is not return_encoded:
            raise SchemaMismatch(
                "return_encoded takes the images of one camera, classification takes them by camera name"
            )
        if isinstance(x, Tensor):
            return trunk_features(self.pretrained_encoder, stack_frames(x) if self.enable_stacking else x)
        encoded = self.encoder(x, train=train, is_encoded=classify_encoded)
        logits: Tensor = self.dense(self.network(encoded, train=train)).squeeze()
        return logits
