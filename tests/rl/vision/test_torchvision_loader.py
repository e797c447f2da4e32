"""torchvision comes in, whether or not its compiled part fits the installed torch."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rl.errors import MissingExtra
from rl.vision import torchvision_loader
from rl.vision.torchvision_loader import compiled_part_loads, load_torchvision


def test_the_models_run():
    network = load_torchvision().models.mobilenet_v3_small(weights=None).eval()
    assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 1000)


def test_signatures_are_declared_only_where_the_compiled_part_does_not_load(tmp_path: Path):
    """In a process of its own: what is declared stays declared."""
    program = """
import importlib.util, pathlib, torch
from rl.vision import torchvision_loader as loader
package = pathlib.Path(importlib.util.find_spec("torchvision").origin).parent
fits = loader.compiled_part_loads(package)
loader.load_torchvision()
assert fits == (loader._declare_operators.cache_info().currsize == 0), fits
assert hasattr(torch.ops.torchvision, "nms")
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_a_library_that_is_no_library_does_not_load(tmp_path: Path):
    assert not compiled_part_loads(tmp_path)
    (tmp_path / "_C.so").write_bytes(b"not a library")
    assert not compiled_part_loads(tmp_path)


def test_a_missing_torchvision_names_the_remedy(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torchvision_loader.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="pip install torchvision"):
        load_torchvision.__wrapped__()
