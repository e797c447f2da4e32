"""Laws of products with weights: the same numbers and gradients, whoever computes them."""

import pytest
import torch
import torch.nn.functional as F

from rl.nn import products
from rl.nn.products import affine

LARGE = [((64, 300), 256), ((8, 8, 300), 256), ((2, 4096), 513)]
SMALL = [((3,), 2), ((5, 3), 2)]


def tensors(shape, features, seed=0):
    generator = torch.Generator().manual_seed(seed)
    sizes = (shape, (features, shape[-1]), (features,))
    return [torch.randn(size, generator=generator).requires_grad_() for size in sizes]


@pytest.mark.parametrize(("shape", "features"), LARGE + SMALL)
@pytest.mark.parametrize("has_bias", [True, False])
def test_values_and_gradients_are_those_of_torchs_linear_map(shape, features, has_bias):
    x, weight, bias = tensors(shape, features)
    taken = (x, weight, bias) if has_bias else (x, weight)
    ours, theirs = affine(*taken), F.linear(*taken)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-3)
    cotangent = torch.randn(ours.shape, generator=torch.Generator().manual_seed(1))
    found, expected = (torch.autograd.grad(y, taken, cotangent) for y in (ours, theirs))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-3)


def test_gradients_have_gradients():
    """What a gradient penalty needs."""
    x, weight, bias = tensors((64, 300), 256)

    def penalty(function):
        y = function(x, weight, bias).square().sum()
        (slope,) = torch.autograd.grad(y, x, create_graph=True)
        return torch.autograd.grad(slope.square().mean(), (x, weight, bias))

    torch.testing.assert_close(penalty(affine), penalty(F.linear), rtol=1e-4, atol=1e-2)


def test_operands_of_any_layout_are_taken():
    x, weight, bias = tensors((64, 300), 256)
    for one, other in ((x.t().contiguous().t(), weight), (x, weight.t().contiguous().t()), (x[::2], weight)):
        torch.testing.assert_close(affine(one, other, bias), F.linear(one, other, bias), rtol=1e-5, atol=1e-4)


@pytest.mark.skipif(not products.HAS_ONEDNN, reason="this build of torch has no oneDNN")
def test_only_large_eager_float32_products_go_to_onednn(monkeypatch):
    calls = []
    real = products._onednn
    monkeypatch.setattr(products, "_onednn", lambda *args: (calls.append(args), real(*args))[1])
    x, weight, bias = (tensor.detach() for tensor in tensors((64, 300), 256))
    affine(x, weight, bias)
    assert len(calls) == 1
    affine(x[:2], weight, bias)
    affine(x.double(), weight.double(), bias.double())
    with torch.autocast("cpu", torch.bfloat16):
        assert affine(x, weight, bias).dtype == torch.bfloat16
    assert len(calls) == 1
