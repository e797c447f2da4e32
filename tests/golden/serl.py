"""Reads the golden arrays recorded from SERL and builds what their constructor expressions describe.

Every fixture's target class has an adapter: a function that builds our counterpart, runs it and compares. Adapters
live in `adapters_*.py` beside this file and register themselves with `@adapter(target)`; targets without one are
listed, each with its reason, in `pending.py`. The directory `$ROBOTKIT_GOLDEN_DIR/serl` replaces the arrays in
`data/serl`.
"""

from __future__ import annotations

import ast
import importlib
import json
import os
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

HERE = Path(__file__).parent

NAMES: dict[str, Any] = {
    "np.float32": np.float32,
    "np.linspace": np.linspace,
    "partial": partial,
    **{f"nn.{name}": name for name in ("tanh", "swish", "silu", "relu", "gelu", "elu", "leaky_relu", "sigmoid")},
}
"""What a constructor expression may name; adapters add the classes they implement."""

ADAPTERS: dict[str, Callable[[Fixture], None]] = {}
"""The check of each target class."""


def directory() -> Path:
    override = os.environ.get("ROBOTKIT_GOLDEN_DIR")
    return Path(override) / "serl" if override else HERE / "data" / "serl"


def adapter(*targets: str) -> Callable[[Callable[[Fixture], None]], Callable[[Fixture], None]]:
    """Register the decorated check for fixtures of these targets (without the leading package name)."""

    def register(check: Callable[[Fixture], None]) -> Callable[[Fixture], None]:
        for target in targets:
            assert target not in ADAPTERS, f"two adapters claim {target}"
            ADAPTERS[target] = check
        return check

    return register


def load_adapters() -> Mapping[str, Callable[[Fixture], None]]:
    for file in sorted(HERE.glob("adapters_*.py")):
        importlib.import_module(f"tests.golden.{file.stem}" if __name__.startswith("tests.") else file.stem)
    return ADAPTERS


def evaluate(expression: str, names: Mapping[str, Any] | None = None) -> Any:
    """The value of a constructor expression: literals, known names, calls, items, sums, comprehensions, `.astype`."""
    return _value(ast.parse(expression, mode="eval").body, NAMES if names is None else names)


def _value(node: ast.expr, names: Mapping[str, Any]) -> Any:
    match node:
        case ast.Call(func=func, args=args, keywords=keywords):
            given: dict[str, Any] = {}
            for keyword in keywords:
                value = _value(keyword.value, names)
                given |= value if keyword.arg is None else {keyword.arg: value}
            return _value(func, names)(*(_value(arg, names) for arg in args), **given)
        case ast.Name() | ast.Attribute() if ast.unparse(node) in names:
            return names[ast.unparse(node)]
        case ast.Attribute(value=owner, attr="astype"):
            return _value(owner, names).astype
        case ast.Subscript(value=owner, slice=key):
            return _value(owner, names)[_value(key, names)]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _value(left, names) + _value(right, names)
        case ast.Lambda(args=ast.arguments(args=parameters), body=body):
            return lambda *given: _value(body, {**names, **{p.arg: x for p, x in zip(parameters, given, strict=True)}})
        case ast.DictComp(key=key, value=value, generators=[ast.comprehension(target=ast.Name(id=item), iter=items)]):
            inner = [{**names, item: x} for x in _value(items, names)]
            return {_value(key, scope): _value(value, scope) for scope in inner}
        case ast.Dict(keys=keys, values=values):
            return {_value(k, names): _value(v, names) for k, v in zip(keys, values, strict=True) if k is not None}
        case ast.Tuple(elts=items):
            return tuple(_value(item, names) for item in items)
        case ast.List(elts=items):
            return [_value(item, names) for item in items]
        case _:
            return ast.literal_eval(node)


def recipe_fill(path: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """The parameter at `path` of a network too large to store: a stream seeded by its path and scaled by its kind."""
    stream = np.random.RandomState((zlib.crc32(path.encode()) ^ (seed & 0xFFFFFFFF)) & 0xFFFFFFFF)
    x = stream.standard_normal(shape)
    match path.rsplit("/", 1)[-1]:
        case "kernel":
            fan_in = int(np.prod(shape[:-1])) if len(shape) > 1 else int(shape[0])
            x = x * np.sqrt(2.0 / fan_in)
        case "scale":
            x = 1.0 + 0.1 * x
        case "lagrange":
            x = -2.0 + 0.1 * x
        case _:
            x = 0.1 * x
    return np.asarray(x).astype(np.float32)


@dataclass(frozen=True)
class Fixture:
    """One recording: its manifest entry and, when asked for, its arrays."""

    entry: dict[str, Any]

    @property
    def name(self) -> str:
        return self.entry["name"]

    @property
    def target(self) -> str:
        return self.entry["target"].removeprefix("serl_launcher.")

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        with np.load(directory() / self.entry["file"], allow_pickle=False) as stored:
            return {key: stored[key] for key in stored.files}

    def below(self, *prefixes: str) -> dict[str, np.ndarray]:
        """Arrays whose key starts with the joined prefix, without it."""
        prefix = "/".join(prefixes) + "/"
        return {key.removeprefix(prefix): value for key, value in self.arrays.items() if key.startswith(prefix)}

    def tensors(self, *prefixes: str) -> dict[str, torch.Tensor]:
        return {key: torch.from_numpy(np.array(value)) for key, value in self.below(*prefixes).items()}

    def ordered(self, prefix: str) -> list[torch.Tensor]:
        """Tensors `prefix/0`, `prefix/1`, ... or the single tensor `prefix`."""
        if prefix in self.arrays:
            return [torch.from_numpy(self.arrays[prefix])]
        found = self.tensors(prefix)
        return [found[str(index)] for index in range(len(found))]

    @property
    def params(self) -> dict[str, np.ndarray]:
        """Stored parameters and those that the recipe makes, by Flax path."""
        recipe = self.entry.get("param_recipe", {"shapes": {}})
        made = {path: recipe_fill(path, tuple(shape), recipe["seed"]) for path, shape in recipe["shapes"].items()}
        return self.below("params") | made

    @property
    def call_kwargs(self) -> dict[str, Any]:
        return evaluate(self.entry.get("call_kwargs") or "{}")

    def build(self) -> Any:
        return evaluate(self.entry["ctor"])

    def assert_close(self, actual: Any, key: str, rtol: float = 1e-5) -> None:
        """Within the manifest's tolerance; our own recordings also within `rtol` of the array's largest entry."""
        compare(actual, self.arrays[key], f"{self.name}:{key}", self.entry, rtol)


def compare(actual: Any, expected: np.ndarray, where: str, entry: Mapping[str, Any], rtol: float = 1e-5) -> None:
    found = actual.detach().cpu().numpy() if isinstance(actual, torch.Tensor) else np.asarray(actual)
    np.testing.assert_allclose(found, expected, rtol=entry["rtol"], atol=entry["atol"], err_msg=where)
    scale = float(np.abs(expected).max(initial=0.0))
    error = float(np.abs(found - expected).max(initial=0.0))
    ERRORS[where] = error / scale if scale else error
    # Recordings of other seeds and sizes are held to their own manifest's tolerance alone.
    assert "ROBOTKIT_GOLDEN_DIR" in os.environ or error <= rtol * scale + min(entry["atol"], 1e-6), (
        f"{where}: off by {error:.2e} of {scale:.2e}, more than {rtol:g}"
    )


ERRORS: dict[str, float] = {}
"""Relative error of every comparison made so far, for the report of a run."""


@cache
def fixtures() -> tuple[Fixture, ...]:
    manifest = json.loads((directory() / "manifest.json").read_text())
    return tuple(Fixture(entry) for entry in manifest["fixtures"])
