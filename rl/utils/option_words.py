"""The words in which an error names an option: those of the command line in a command, those of Python elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_IN_PYTHON = {
    "images.size": "image_size",
    "images.frames": "image_frames",
    "residual.scale": "residual_scale",
    "agent.actor_optimizer.learning_rate": "actor_optimizer.learning_rate",
    "agent.critic_optimizer.learning_rate": "critic_optimizer.learning_rate",
    "agent.critic_optimizer.clip_grad_norm": "critic_optimizer.clip_grad_norm",
    "agent.temperature_optimizer.learning_rate": "temperature_optimizer.learning_rate",
}
"""Keyword arguments that are not called like the last word of their field, and fields whose last word says too
little."""
_NOT_GIVEN = object()

_is_command = False


@contextmanager
def command_line_words() -> Iterator[None]:
    """Name options as the command line does, in this process, while a command runs."""
    global _is_command
    before, _is_command = _is_command, True
    try:
        yield
    finally:
        _is_command = before


def option(field: str, value: Any = _NOT_GIVEN) -> str:
    """The name of an option, with its value where one is given.

    Args:
        field: of the configuration, with dots: "replay.n_step" is `--replay.n-step 3` and `n_step=3`.
        value: what it is, or should be.
    """
    if _is_command:
        name = f"--{field.replace('_', '-')}"
        return name if value is _NOT_GIVEN else f"{name} {value}"
    name = _IN_PYTHON.get(field, field.rpartition(".")[2])
    shown = value if isinstance(value, (int, float)) or value is None else repr(str(value))
    return name if value is _NOT_GIVEN else f"{name}={shown}"


def by_caller(command_line: str, python: str) -> str:
    """Return what a person at a command line does, or what one who writes a script does."""
    return command_line if _is_command else python
