"""Adapters of image encoders, encoding wrappers and classifiers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from rl.common.encoding import EncodingWrapper, GCEncodingWrapper, LCEncodingWrapper
from rl.networks import classifier, reward_classifier
from rl.networks.mlp import MLP
from rl.nn.flax_params import load_flax_params, to_flax_params
from rl.vision import resnet_v1, spatial
from rl.vision.film_conditioning_layer import FilmConditioning
from rl.vision.mobilenet import MobileNetEncoder
from rl.vision.small_encoders import SmallEncoder
from tests.golden.serl import NAMES, Fixture, adapter, evaluate


def unnamed(cls: Callable[..., Any]) -> Callable[..., Any]:
    """Flax modules take the name of their parameters' scope; ours follow from where they are used."""
    return lambda *args, name=None, **kwargs: cls(*args, **kwargs)


NAMES |= {
    cls.__name__: unnamed(cls)
    for cls in (
        SmallEncoder, resnet_v1.ResNetEncoder, resnet_v1.PreTrainedResNetEncoder, EncodingWrapper, GCEncodingWrapper,
        LCEncodingWrapper, MLP,
    )
}  # fmt: skip
NAMES |= {f"rn.{name}": getattr(resnet_v1, name) for name in resnet_v1.__all__}
NAMES |= {"resnetv1_configs": {name: unnamed(config) for name, config in resnet_v1.resnetv1_configs.items()}}
NAMES |= {
    "sp.SpatialLearnedEmbeddings": spatial.SpatialLearnedEmbeddings,
    "mb.MobileNetEncoder": MobileNetEncoder,
    "clf1.BinaryClassifier": classifier.BinaryClassifier,
    "clf2.BinaryClassifier": reward_classifier.BinaryClassifier,
    # The manifest prints array arguments; their full values are among the fixture's inputs.
    "Array": lambda *args, **kwargs: None,
    "float32": np.float32,
}


def nested(flat: Mapping[str, Tensor]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        *scopes, name = path.split("/")
        node = tree
        for scope in scopes:
            node = node.setdefault(scope, {})
        node[name] = value
    return tree


def positional(fixture: Fixture) -> list[Any]:
    """The call's positional arguments: tensors, dicts of tensors, or pairs of dicts."""

    def as_argument(value: Any) -> Any:
        pair = isinstance(value, dict) and isinstance(value.get("0"), dict)
        return tuple(value[str(index)] for index in range(len(value))) if pair else value

    tree = nested(fixture.tensors("in"))
    return [as_argument(tree[str(index)]) for index in range(len(tree)) if str(index) in tree]


def local_names(fixture: Fixture) -> dict[str, Any]:
    """Names whose values depend on the fixture's inputs."""
    shape = fixture.arrays["in/0"].shape if "in/0" in fixture.arrays else (1, 1, 1)
    columns = np.linspace(-1.0, 1.0, shape[-3]), np.linspace(-1.0, 1.0, shape[-2])
    pos_x, pos_y = (torch.from_numpy(grid.ravel()).float() for grid in np.meshgrid(*columns))
    return NAMES | {"px": pos_x, "py": pos_y, "FilmConditioning": lambda: FilmConditioning(shape[-1])}


def drop_unused(module: nn.Module) -> None:
    """Take out the layers that the call did not reach: Flax gave them no parameters either."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if any(is_lazy(parameter) for parameter in child.parameters(recurse=False)):
                setattr(parent, name, nn.Identity())


@torch.no_grad()
def load_recorded(fixture: Fixture, module: nn.Module, *inputs: Any, **kwargs: Any) -> None:
    module(*inputs, **kwargs)
    drop_unused(module)
    load_flax_params(module, fixture.params)


# Gradients of biases below a layer norm are small differences of large sums: in float64 our modules agree with the
# recordings to 2e-5 there, and in float32 either side has rounding errors of that size.
GRADIENT_RTOL = 1e-4


def assert_gradients(fixture: Fixture, module: nn.Module) -> None:
    grads = to_flax_params(module, lambda p: torch.zeros_like(p) if p.grad is None else p.grad)
    for path in fixture.below("grad_params"):
        fixture.assert_close(grads[path], f"grad_params/{path}", rtol=GRADIENT_RTOL)
    for path in fixture.below("grad_norm"):
        fixture.assert_close(np.linalg.norm(grads[path].astype(np.float64)), f"grad_norm/{path}", rtol=GRADIENT_RTOL)


@adapter(
    "common.encoding.EncodingWrapper",
    "common.encoding.GCEncodingWrapper",
    "common.encoding.LCEncodingWrapper",
    "networks.classifier.BinaryClassifier",
    "networks.reward_classifier.BinaryClassifier",
    "vision.film_conditioning_layer.FilmConditioning",
    "vision.resnet_v1.AddSpatialCoordinates",
    "vision.resnet_v1.MyGroupNorm",
    "vision.resnet_v1.PreTrainedResNetEncoder",
    "vision.resnet_v1.ResNetEncoder",
    "vision.resnet_v1.SpatialLearnedEmbeddings",
    "vision.resnet_v1.SpatialSoftmax",
    "vision.small_encoders.SmallEncoder",
    "vision.spatial.SpatialLearnedEmbeddings",
)
def check_vision_module(fixture: Fixture) -> None:
    """Outputs, and the gradients of sum(output * cotangent) for parameters and inputs where they were recorded."""
    inputs = positional(fixture)
    for index in fixture.below("grad_in"):
        inputs[int(index)].requires_grad_()
    kwargs = fixture.call_kwargs | {name: x for name, x in fixture.tensors("in").items() if name == "cond_var"}
    module = evaluate(fixture.entry["ctor"], local_names(fixture))
    load_recorded(fixture, module, *inputs, **kwargs)
    output = module(*inputs, **kwargs)
    fixture.assert_close(output, "out")
    if "cot/0" in fixture.arrays:
        if output.requires_grad:
            (output * fixture.tensors("cot")["0"]).sum().backward()
        assert_gradients(fixture, module)
    for index in fixture.below("grad_in"):
        fixture.assert_close(inputs[int(index)].grad, f"grad_in/{index}")


@adapter("vision.mobilenet.MobileNetEncoder")
def check_mobilenet_encoder(fixture: Fixture) -> None:
    """Normalisation, pooling and bottleneck around a recorded convolution in the place of the network."""
    kernel, bias = (fixture.tensors("in", "backbone", "c")[name] for name in ("kernel", "bias"))
    height, width, channels, features = kernel.shape
    stub = nn.Conv2d(channels, features, (height, width), stride=4)
    params = {"weight": kernel.permute(3, 2, 0, 1), "bias": bias}
    encoder = evaluate(fixture.entry["ctor"], NAMES | {"stub": stub, "sv": params})
    images = fixture.tensors("in")["0"]
    encoder(images)
    # The original passes the network's weights as a constant: they are not in its parameter tree.
    encoder.encoder = nn.Identity()
    load_flax_params(encoder, fixture.params)
    encoder.encoder = stub
    fixture.assert_close(encoder(images, **fixture.call_kwargs), "out")
