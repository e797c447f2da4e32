"""Writes MuJoCo's warnings to the program's log, instead of a file in the current folder."""

from __future__ import annotations

from typing import Any

from robotkit.aside import aside_logger

_LOG = aside_logger(__name__)


def keep_warnings_out_of_files(mujoco: Any) -> None:
    """Log each warning; one about the numbers of a world is also counted in it, and a fault (`Soundness`).

    By itself MuJoCo appends them to MUJOCO_LOG.TXT in the working folder, and prints them. Whoever has set a handler
    before keeps it.
    """
    if mujoco.get_mju_user_warning() is None:
        mujoco.set_mju_user_warning(_log)


def _log(text: str) -> None:
    _LOG.warning("MuJoCo: %s", text)
