"""Small helpers around torch: compilation that falls back to eager, and memory that stays in the process."""

from __future__ import annotations

import importlib
import os
import shutil
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any, ParamSpec, TypeVar

import torch

from rl.errors import ConfigError

P = ParamSpec("P")
R = TypeVar("R")

# tanh from one exponential is four times as fast on a CPU as the library's, and exact to 1e-7.
CPU_OPTIONS = {"cpp.use_decompose_tanh": True}


# Largest block that the C library may learn to keep instead of handing it back to the system.
_KEEP_BYTES = 31 << 20


@cache
def keep_freed_memory() -> None:
    """Let the C library keep freed blocks of up to 31 MB for the next tensors; costs nothing and uses no memory.

    By default it gives the memory of large temporaries back after every update, and fetches and clears it again for the
    next one, which took a tenth of the time of an update. It raises its threshold when a mapped block is freed.
    """
    block = torch.empty(_KEEP_BYTES, dtype=torch.uint8)
    del block


def require_device(name: str) -> None:
    """Raise `ConfigError` where torch cannot compute on the device of this name."""
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"torch cannot compute on the device {name!r} here: {str(error).splitlines()[0]}. Choose cpu, or a device "
            "of this machine that this torch was built for"
        ) from error


@cache
def why_not_compile() -> str | None:
    """Why `torch.compile` cannot work here, or `None` when it can. Warns the first time that it cannot."""
    wanted = (os.environ["CXX"],) if "CXX" in os.environ else ("g++", "clang++")
    if any(shutil.which(compiler) for compiler in wanted):
        return None
    reason = f"no C++ compiler was found (looked for {', '.join(wanted)}): updates run eagerly, which is slower"
    warnings.warn(reason, RuntimeWarning, stacklevel=3)
    return reason


@cache
def _prepare_compiler() -> None:
    with warnings.catch_warnings():
        # The compiler's own modules use deprecated parts of torch while they are imported.
        warnings.simplefilter("ignore", DeprecationWarning)
        importlib.import_module("torch._inductor.compile_fx")
    # With this a whole update is one graph. Versions of torch without the switch compile it in pieces.
    settings: Any = importlib.import_module("torch._dynamo.config")
    if hasattr(settings, "trace_autograd_ops"):
        settings.trace_autograd_ops = True


def compile_or_warn(function: Callable[P, R], **kwargs: Any) -> Callable[P, R]:
    """`torch.compile(function, **kwargs)`, or the function itself with one warning where there is no compiler.

    Args:
        function: what to compile; it may compute gradients with `torch.autograd.grad`.
        kwargs: for `torch.compile`; without `mode` and `options`, options that suit the CPU.
    """
    if why_not_compile():
        return function
    if not kwargs.keys() & {"mode", "options", "backend"}:
        kwargs["options"] = CPU_OPTIONS
    _prepare_compiler()
    return torch.compile(function, **kwargs)
