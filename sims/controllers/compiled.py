"""`compiled`: the numba decorator that compiles laws, releases the interpreter lock and caches on disk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba

PACKAGE = Path(__file__).parents[1]


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile `function` on its first call, or load its machine code from the cache.

    numba notices only when the file of a function itself changes, although constants and callees from other files are
    compiled into it. So each state of this package's sources has a cache folder of its own.
    """
    folder = _cache_folder()
    before, numba.config.CACHE_DIR = numba.config.CACHE_DIR, str(folder or "")
    try:
        law: Callable[..., Any] = numba.njit(cache=folder is not None, nogil=True)(function)
    finally:
        numba.config.CACHE_DIR = before
    return law


@cache
def _cache_folder() -> Path | None:
    """A writable folder for this state of the sources: beside them, or the user's; None when neither can be had.

    A service account may have neither HOME nor an entry in the password database; it then has no folder of its own.
    """
    name = f"sims-{_digest()}"
    for parent in (PACKAGE / "__pycache__", Path("~/.cache/robotkit")):
        try:
            parent = parent.expanduser()
            (parent / name).mkdir(parents=True, exist_ok=True)
        except (OSError, RuntimeError):  # pathlib raises RuntimeError for a home that cannot be determined
            continue
        if os.access(parent / name, os.W_OK):
            return parent / name
    return None


def _digest() -> str:
    sources = hashlib.sha256()
    for file in sorted(PACKAGE.rglob("*.py")):
        sources.update(file.read_bytes())
    return sources.hexdigest()[:16]
