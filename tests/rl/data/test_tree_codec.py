"""Laws of the codec: what goes in comes out, and damaged bytes never become something else silently."""

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rl.data.codec import ARRAY_DTYPES, decode, encode
from rl.errors import CodecError

arrays = st.sampled_from(sorted(ARRAY_DTYPES)).flatmap(
    lambda name: hnp.arrays(np.dtype(name), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
)
plain = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text() | st.binary()
)
trees = st.recursive(
    plain | arrays, lambda inner: st.dictionaries(st.text(), inner) | st.lists(inner, max_size=3), max_leaves=8
)


def same(left, right) -> bool:
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and left == right


@given(trees)
def test_what_goes_in_comes_out(tree):
    assert same(decode(encode(tree)), tree)


@given(hnp.arrays(np.float32, (4, 6)))
def test_layout_in_memory_does_not_matter(array):
    for view in (array.T, array[::2, ::-1], np.asfortranarray(array), array.astype(">f4")):
        decoded = decode(encode(view))
        np.testing.assert_array_equal(decoded, view)
        assert decoded.flags.writeable
        assert decoded.dtype == np.float32


@given(trees, st.data())
def test_a_cut_is_always_noticed(tree, data):
    encoded = encode(tree)
    with pytest.raises(CodecError):
        decode(encoded[: data.draw(st.integers(0, len(encoded) - 1))])


@given(trees, st.data())
def test_damaged_bytes_decode_to_a_tree_or_raise_a_codec_error(tree, data):
    damaged = bytearray(encode(tree))
    for _ in range(3):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode(bytes(damaged))
    except CodecError:
        return


@given(st.binary(max_size=64))
def test_noise_decodes_to_a_tree_or_raises_a_codec_error(noise):
    try:
        decode(noise)
    except CodecError:
        return


@pytest.mark.parametrize(
    "tree",
    [np.array([object()]), np.zeros(2, np.complex64), {1: 2}, {"x": {1, 2}}, object(), 2**70, np.array(["text"])],
    ids=["objects", "complex", "integer key", "set", "object", "huge integer", "strings"],
)
def test_only_plain_trees_may_travel(tree):
    with pytest.raises(CodecError):
        decode(encode(tree))


@pytest.mark.parametrize(
    "header",
    [
        ("|O", [1]), ("<c8", [1]), (">f4", [1]), ("<f4", [True]), ("<f4", [-1, -1]), ("<f4", [1.0]), ("<f4", [1] * 33),
        ("<f4", [2]), ("<f4", [0]), ("<f4", 1), (4, [1]), ("<f4", [1], 0), ("<f4",), 7,
    ],
)  # fmt: skip
def test_an_array_travels_with_the_dtype_and_the_shape_of_its_bytes_or_not_at_all(header):
    def sent(said):
        packed = msgpack.packb(said)
        return msgpack.packb(msgpack.ExtType(1, len(packed).to_bytes(2, "little") + packed + bytes(4)))

    for shape in ([1], [1] * 32):
        assert decode(sent(("<f4", shape))).shape == tuple(shape)
    with pytest.raises(CodecError):
        decode(sent(header))


def test_numpy_scalars_become_numbers():
    assert decode(encode({"a": np.float32(0.5), "b": np.int64(3), "c": np.bool_(True)})) == {
        "a": 0.5,
        "b": 3,
        "c": True,
    }
