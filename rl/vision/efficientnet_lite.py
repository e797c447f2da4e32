"""EfficientNet-Lite0 up to its feature map of stride 16, with ImageNet weights from a Python package."""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Generator, Tensor, nn

from rl.errors import CheckpointError
from rl.utils.weights import read_weights
from rl.vision.layers import from_batch, same_padding, to_batch
from rl.vision.lite0_weights import SHA256, weight_file

_STEM = 32  # channels; Lite variants do not scale it
# Repeats, window, stride of the first, expansion, channels: Tan & Le 2019 (arXiv:1905.11946), table 1, without squeeze
# and excitation, whose swish is relu6. The last two stages, of stride 32, would leave 2 x 2 pixels of a 64-pixel image.
_STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112))
_NORM_EPSILON = 1e-3
_MEAN, _STD = 127.0, 128.0  # of the pixels that the Lite variants were trained on, for all three channels


class _Convolution(nn.Module):
    """A convolution with TensorFlow's "SAME" padding and the batch norm behind it as its scale and bias."""

    def __init__(self, inputs: int, features: int, window: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(Tensor(features, inputs // groups, window, window))
        self.bias = nn.Parameter(Tensor(features))
        self.stride, self.groups = stride, groups
        self.init_parameters(None)

    def init_parameters(self, generator: Generator | None) -> None:
        """Draw the weight and zero the bias."""
        nn.init.kaiming_uniform_(self.weight, nonlinearity="relu", generator=generator)
        nn.init.zeros_(self.bias)

    def fill(self, weights: Mapping[str, Tensor], convolution: str, norm: str) -> None:
        """Take over a convolution without bias and the batch norm behind it, by their names."""
        scale = weights[f"{norm}.weight"] / (weights[f"{norm}.running_var"] + _NORM_EPSILON).sqrt()
        self.weight.data.copy_(weights[f"{convolution}.weight"] * scale[:, None, None, None])
        self.bias.data.copy_(weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in, height, width) to (N, features, height / stride, width / stride), rounded up."""
        window = self.weight.shape[-1]
        (top, bottom), (left, right) = (same_padding(size, window, self.stride) for size in x.shape[2:])
        if (top, left) != (bottom, right):
            x, top, left = F.pad(x, (left, right, top, bottom)), 0, 0
        return F.conv2d(x, self.weight, self.bias, self.stride, (top, left), groups=self.groups)


class _Block(nn.Module):
    """An inverted residual: expand, filter each channel, project; added to its input where the shape stays.

    Sandler et al. 2018 (arXiv:1801.04381), figure 3.
    """

    def __init__(self, inputs: int, features: int, window: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = inputs * expansion
        self.expand = _Convolution(inputs, width, 1) if expansion > 1 else None
        self.depthwise = _Convolution(width, width, window, stride, groups=width)
        self.project = _Convolution(width, features, 1)
        self.adds_input = stride == 1 and inputs == features

    def fill(self, weights: Mapping[str, Tensor], name: str) -> None:
        """Take over the block of this name."""
        if self.expand is not None:
            self.expand.fill(weights, f"{name}._expand_conv", f"{name}._bn0")
        self.depthwise.fill(weights, f"{name}._depthwise_conv", f"{name}._bn1")
        self.project.fill(weights, f"{name}._project_conv", f"{name}._bn2")

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in, height, width) to (N, features, height / stride, width / stride), rounded up."""
        expanded = x if self.expand is None else F.relu6(self.expand(x))
        y: Tensor = self.project(F.relu6(self.depthwise(expanded)))
        return x + y if self.adds_input else y


class EfficientNetLite0(nn.Module):
    """The stem and the first five stages of EfficientNet-Lite0, as a trunk that pixel encoders share.

    The batch norms are part of the convolutions: nothing depends on the module's mode or on other rows of a batch.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = _Convolution(3, _STEM, 3, 2)
        self.blocks = nn.ModuleList()
        width = _STEM
        for repeats, window, stride, expansion, features in _STAGES:
            for index in range(repeats):
                self.blocks.append(_Block(width, features, window, stride if index == 0 else 1, expansion))
                width = features

    def fill(self, weights: Mapping[str, Tensor]) -> None:
        """Take over published weights, by the names of the package `efficientnet_lite_pytorch`.

        Raises:
            CheckpointError: a weight is missing or has another shape.
        """
        try:
            self.stem.fill(weights, "_conv_stem", "_bn0")
            for index, block in enumerate(self.blocks):
                assert isinstance(block, _Block)
                block.fill(weights, f"_blocks.{index}")
        except (KeyError, RuntimeError) as error:
            raise CheckpointError(f"these are no weights of EfficientNet-Lite0: {error}") from error

    def forward(self, observations: Tensor) -> Tensor:
        """Map pixels 0..255 (..., height, width, 3) to maps (..., height / 16, width / 16, 112), rounded up."""
        images, lead = to_batch(observations)
        x = F.relu6(self.stem((images.permute(0, 3, 1, 2).float() - _MEAN) / _STD))
        for block in self.blocks:
            x = block(x)
        return from_batch(x.permute(0, 2, 3, 1), lead)


def imagenet_weights() -> dict[str, Tensor]:
    """The published weights by name, 19 MB.

    Raises:
        MissingExtra: their package is not installed.
        CheckpointError: the package holds another file.
    """
    return read_weights(weight_file(), SHA256)
