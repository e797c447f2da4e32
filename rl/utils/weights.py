"""Reads weight files whose checksum is the given one, without running code from them."""

from __future__ import annotations

import hashlib
import os
import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor

from rl.errors import CheckpointError


def read_weights(path: str | os.PathLike[str], sha256: str | None) -> dict[str, Tensor]:
    """Named tensors of a `.safetensors` file or a torch file (`.pt`, `.pth`).

    Args:
        path: the file.
        sha256: its checksum, hexadecimal.

    Raises:
        CheckpointError: there is no such file, no checksum was given, it is another file, or holds more than tensors.
    """
    file = Path(path)
    if not file.is_file():
        raise CheckpointError(f"there is no weight file {file}")
    content = file.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if sha256 is None:
        raise CheckpointError(f"{file} is only read against a checksum: pass the published one. The file's is {found}")
    if found != sha256.lower():
        raise CheckpointError(f"{file} has the SHA-256 {found}, not {sha256}: download it again")
    try:
        if file.suffix == ".safetensors":
            return load_safetensors(content)
        return _plain_tensors(file)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise CheckpointError(f"{file} holds something else than named tensors: {error}") from error


def _plain_tensors(file: Path) -> dict[str, Tensor]:
    loaded = torch.load(file, map_location="cpu", weights_only=True)
    if not isinstance(loaded, dict) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise CheckpointError(f"{file} holds something else than named tensors")
    return loaded
