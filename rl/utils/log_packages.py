"""The packages that logs of a training need besides, and the error when one is not installed."""

from __future__ import annotations

from importlib.util import find_spec

from rl.errors import MissingExtra

_LOGS = {"tensorboard": ("TensorBoard", "rl"), "wandb": ("Weights & Biases", "wandb")}
"""Logging packages, each with where it logs to, and the extra that installs it."""


def missing_log_package(package: str) -> MissingExtra:
    """The error when this package is not installed."""
    name, extra = _LOGS[package]
    return MissingExtra(f"logging to {name} needs its package: pip install 'robotkit[{extra}]', or log without it")


def require_log_package(package: str) -> None:
    """Raise `MissingExtra` when this package is not installed; it is not imported."""
    if find_spec(package) is None:
        raise missing_log_package(package)
