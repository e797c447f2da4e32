"""Foreign pickles: arrays come back exactly, and nothing that a file names is ever run."""

import collections
import io
import os
import pickle
import pickletools
import struct
import sys

import numpy as np
import pytest

from rl.errors import DataError
from rl.interop import safe_unpickler
from rl.interop.safe_unpickler import read_pickles
from tests.rl.interop.foreign import JAX_ARRAY, jax_pickle


def read(*contents: bytes):
    return list(read_pickles(io.BufferedReader(io.BytesIO(b"".join(contents))), "demo.pkl"))


def assert_equal(left, right):
    assert type(left) is type(right)
    if isinstance(left, dict):
        assert left.keys() == right.keys()
        for name, value in left.items():
            assert_equal(value, right[name])
    elif isinstance(left, list | tuple):
        assert len(left) == len(right)
        for one, other in zip(left, right, strict=True):
            assert_equal(one, other)
    elif isinstance(left, np.ndarray):
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right)
    else:
        assert left == right


TREE = {
    "image": np.arange(24, dtype=np.uint8).reshape(2, 4, 3),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "strided": np.arange(24.0).reshape(4, 6)[::2, 1::2],
    "transposed": np.arange(24, dtype=np.int16).reshape(2, 3, 4).transpose(1, 2, 0),
    "empty": np.zeros((0, 3), np.float32),
    "big endian": np.arange(3, dtype=">i4"),
    "flags": np.array([True, False]),
    "names": np.array(["left", "right arm"]),
    "half": np.float16(0.5),
    "success": np.bool_(True),
    "scalars": [1, 2.5, 1 + 2j, None, "ä", b"", b"\x00\xff", True],
    "containers": (bytearray(b"abc"), {1, 2}, frozenset({"a"}), {}),
}


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_what_it_may_hold_comes_back_exactly(protocol):
    assert_equal(read(pickle.dumps(TREE, protocol)), [TREE])


def test_arrays_are_the_readers_own():
    (array,) = read(pickle.dumps(np.zeros(3)))
    array += 1


def test_what_is_shared_stays_shared():
    frame = np.zeros((8, 8))
    ((first, second, third),) = read(pickle.dumps(({"image": frame}, {"image": frame}, frame)))
    assert first["image"] is second["image"] is third


@pytest.mark.parametrize(("written", "other"), [(b"numpy._core", b"numpy.core"), (b"numpy.core", b"numpy._core")])
def test_both_names_of_numpys_core_are_known(written, other):
    content = pickle.dumps(TREE, 2)
    assert_equal(read(content.replace(b"c" + written, b"c" + other)), [TREE])


def test_a_file_may_hold_several_pickles():
    assert_equal(
        read(*(pickle.dumps({"step": np.full(2, k)}) for k in range(3))), [{"step": np.full(2, k)} for k in range(3)]
    )


@pytest.mark.parametrize("name", [JAX_ARRAY, ("jax._src.device_array", "reconstruct_device_array")])
def test_arrays_of_jax_come_back_as_numpys(name):
    assert_equal(read(jax_pickle({"kernel": np.arange(4.0)}, name)), [{"kernel": np.arange(4.0)}])
    assert "jax" not in sys.modules


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def mark(path):
    path.write_text("ran")


ATTACKS = {
    "os.system": lambda path: pickle.dumps(Call(os.system, f"touch {path}")),
    "builtins.eval": lambda path: pickle.dumps(Call(eval, f"open({str(path)!r}, 'w').close()")),
    "builtins.exec": lambda path: pickle.dumps([np.zeros(2), Call(exec, f"open({str(path)!r}, 'w').close()")]),
    "builtins.getattr": lambda path: pickle.dumps(Call(getattr, Call(__import__, "os"), "system")),
    "builtins.open": lambda path: pickle.dumps({"observations": Call(open, str(path), "w")}, 0),
    "numpy.ndarray.tofile": lambda path: b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93.",
    "numpy.load": lambda path: b"cnumpy\nload\n(S'x'\ntR.",
    "numpy.f2py.capi_maps.getinit": lambda path: b"cnumpy.f2py.capi_maps\ngetinit\n.",
    "builtins.__import__": lambda path: b"c__builtin__\n__import__\n(S'os'\ntR.".replace(b"__builtin__", b"builtins"),
    "copyreg._reconstructor": lambda path: b"ccopyreg\n_reconstructor\n.",
    "functools.partial": lambda path: b"\x80\x04\x8c\x09functools\x8c\x07partial\x93.",
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_name_outside_the_table_is_refused_by_name_and_never_run(name, tmp_path):
    path = tmp_path / "trace"
    content = ATTACKS[name](path)
    with pytest.raises(DataError, match="names") as caught:
        read(content)
    assert name.split(".")[-1] in str(caught.value)
    assert not path.exists()


def test_the_attacks_are_real(tmp_path):
    """The same bytes do run when Python's own reader gets them."""
    for name in ("os.system", "builtins.eval"):
        pickle.loads(ATTACKS[name](tmp_path / name))
        assert (tmp_path / name).exists()


ARRAY = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
NAMED = b"cnumpy.core.multiarray\n_reconstruct\n"


def dtype(code: bytes, rest: bytes = b"S'<'\nNNNI-1\nI-1\nI0\n") -> bytes:
    return b"cnumpy\ndtype\n(S'" + code + b"'\nI00\nI01\ntR(I3\n" + rest + b"tb"


def raw(content: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(content)) + content


DAMAGED = {
    "an array of objects": pickle.dumps(np.array([1, "a"], object)),
    "a structured array": pickle.dumps(np.zeros(2, [("a", "f4")])),
    "a dtype that claims to hold pointers": ARRAY
    + b"(I1\n(I1\nt"
    + dtype(b"O8", b"S'|'\nNNNI8\nI8\nI0\n")
    + b"I00\n"
    + raw(bytes(8))
    + b"tb.",
    "more pixels than bytes": ARRAY + b"(I1\n(I1000000\nt" + dtype(b"f8") + b"I00\n" + raw(bytes(8)) + b"tb.",
    "a negative size": ARRAY + b"(I1\n(I-1\nt" + dtype(b"f8") + b"I00\n" + raw(bytes(8)) + b"tb.",
    "an array without content": ARRAY + b".",
    "another class of arrays": NAMED + b"(c__builtin__\nset\n(I0\ntS'b'\ntR.",
    "a function as data": NAMED + b".",
    "a function with new attributes": NAMED + b"}S'__defaults__'\nI1\nsb.",
    "memory by a number": b"cbuiltins\nbytearray\n(I1000000000000\ntR.",
    "a container that holds itself": b"(lp0\ng0\na.",
    "a persistent id": b"Pnumber\n.",
    "a registered extension": b"\x80\x02\x82\x01.",
    "a truncated file": pickle.dumps(TREE)[:-40],
    "no pickle": b"\x89PNG\r\n",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_one_error(name):
    with pytest.raises(DataError, match=r"demo\.pkl"):
        read(DAMAGED[name])


def test_the_second_pickle_of_a_file_is_named_when_it_is_damaged():
    with pytest.raises(DataError, match=r"pickle 2 of demo\.pkl"):
        read(pickle.dumps([1]), pickle.dumps(TREE)[:-40])
    with pytest.raises(DataError, match="empty"):
        read(b"")


def test_nothing_that_a_file_may_name_belongs_to_anybody_else():
    """Every entry of the table is our own stand-in: no class, no function of numpy's, no attribute to set."""
    for stand_in in safe_unpickler.GLOBALS.values():
        assert type(stand_in).__module__ == safe_unpickler.__name__
        assert not hasattr(stand_in, "__dict__")
        with pytest.raises(pickle.UnpicklingError):
            stand_in.__setstate__({"__call__": 1})


def test_the_table_covers_what_numpy_writes():
    """Every name that numpy's own pickles use is in the table, so an honest file is never refused."""
    named = collections.Counter()
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        strings: list[str] = []
        for opcode, argument, _ in pickletools.genops(pickle.dumps(TREE, protocol)):
            strings += [argument] if isinstance(argument, str) else []
            if opcode.name == "STACK_GLOBAL":
                named[tuple(strings[-2:])] += 1
            elif opcode.name == "GLOBAL":
                named[tuple(argument.split(" "))] += 1
    # STACK_GLOBAL may take its strings from the memo; those pairs are not names at all.
    assert {
        name for name in named if name[0] == "numpy" or name[0].startswith("numpy.")
    } <= safe_unpickler.GLOBALS.keys()
