"""Messages of openpi's protocol: what was packed comes back, and what is no message is refused."""

from __future__ import annotations

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from rl.errors import CodecError
from rl.link.policy_codec import pack, unpack

DTYPES = st.sampled_from(["<f4", "<f8", "|u1", "<i4", "<i8", "|b1"])


@given(DTYPES.flatmap(lambda dtype: st_numpy.arrays(dtype, st_numpy.array_shapes(min_dims=0, max_dims=4, min_side=0))))
def test_an_array_comes_back(array):
    found = unpack(pack({"images/front": array, "prompt": "pick up the cube"}))
    np.testing.assert_array_equal(found["images/front"], array)
    assert (found["images/front"].dtype, found["prompt"]) == (array.dtype, "pick up the cube")


def test_an_array_of_eight_axes_comes_back():
    np.testing.assert_array_equal(unpack(pack(np.full((1,) * 8, 0.5))), np.full((1,) * 8, 0.5))


def test_the_form_is_that_of_openpi():
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    as_openpi_packs = {
        b"__ndarray__": True,
        b"data": array.tobytes(),
        b"dtype": "<f4",
        b"shape": (2, 3),
    }
    assert pack({"actions": array}) == msgpack.packb({"actions": as_openpi_packs})
    np.testing.assert_array_equal(unpack(msgpack.packb({"actions": as_openpi_packs}))["actions"], array)
    scalar = {b"__npgeneric__": True, b"data": 0.5, b"dtype": "<f4"}
    assert unpack(msgpack.packb(scalar)) == 0.5
    assert pack(np.float32(0.5)) == msgpack.packb(scalar)


@pytest.mark.parametrize("value", [object(), np.array([object()]), np.array(["text"]), np.array([1j]), 2**70])
def test_what_may_not_travel_is_refused(value):
    with pytest.raises(CodecError):
        pack({"state": value})


@pytest.mark.parametrize(
    "changes",
    [
        {b"dtype": "|O"},
        {b"dtype": None},
        {b"dtype": ["<f4"]},
        {b"shape": (2, 4)},
        {b"shape": (-2, -3)},
        {b"shape": (True, 6)},
        {b"shape": 6},
        {b"shape": (1,) * 9, b"data": bytes(4)},
        {b"data": "text"},
        {b"data": b""},
    ],
)
def test_a_damaged_array_is_refused(changes):
    sound = {b"__ndarray__": True, b"data": bytes(24), b"dtype": "<f4", b"shape": (2, 3)}
    with pytest.raises(CodecError):
        unpack(msgpack.packb({"actions": {**sound, **changes}}))


@pytest.mark.parametrize(("dtype", "value"), [("|u1", 300), ("|i1", -200), ("<f4", "text"), ("|O", 1)])
def test_a_damaged_number_is_refused(dtype, value):
    with pytest.raises(CodecError):
        unpack(msgpack.packb({"actions": {b"__npgeneric__": True, b"data": value, b"dtype": dtype}}))


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_being_refused(data):
    try:
        unpack(data)
    except CodecError:
        return
