"""Imports torchvision, also where its compiled part does not fit the installed torch.

torchvision's wheels hold C++ operators built for one torch build. Beside another build (a CPU torch with the ordinary
torchvision wheel, say) the compiled part does not load, and `import torchvision` stops in its Python code, which adds
to operators that nobody declared: "operator torchvision::nms does not exist". The models are pure Python and need none
of them, so declaring their signatures is enough to import them. Calling such an operator still fails, with
torchvision's own message.
"""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType

import torch

from rl.errors import MissingExtra

_SIGNATURES = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
"""Operators that torchvision's Python code refers to without asking whether they exist."""


@cache
def load_torchvision() -> ModuleType:
    """The torchvision package.

    Raises:
        MissingExtra: it is not installed.
    """
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        raise MissingExtra("torchvision is not installed: pip install torchvision")
    if not compiled_part_loads(Path(spec.origin).parent):
        _declare_operators()
    return importlib.import_module("torchvision")


def compiled_part_loads(package: Path) -> bool:
    """Load torchvision's operators, as its import would, and say whether that worked."""
    libraries = [*package.glob("_C*.so"), *package.glob("_C*.pyd")]
    try:
        for library in libraries:
            torch.ops.load_library(library)  # type: ignore[no-untyped-call]
    except OSError:
        return False
    return bool(libraries)


@cache
def _declare_operators() -> torch.library.Library:
    # Returned to be kept: the declarations vanish with the object.
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for signature in _SIGNATURES:
        library.define(signature)  # type: ignore[no-untyped-call]
    return library
