"""A number that rounds to zero is printed without a sign that means nothing."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
from rich.console import Console

import robotkit as rk
from robotkit.cli.operation.state import state_table

ROOT = Path(__file__).parents[3]


def test_a_state_has_no_negative_zero():
    with rk.make_workcell("fake") as cell:
        state = cell.get_state()
    small = np.full(6, -1e-9)
    robot = state.robot.model_copy(update={"tcp_twist_in_base": small, "wrench_in_tcp": small})
    console = Console(width=200, file=io.StringIO())
    console.print(state_table("fake", state.model_copy(update={"robot": robot})))
    said = console.file.getvalue()
    assert "+0.0000  +0.0000" in said
    assert "-0.0000" not in said


def test_a_number_with_a_printed_sign_is_told_to_have_none_at_zero():
    """`+` in a format prints the sign of -0.0 too, unless `z` stands behind it."""
    sources = [path for package in ("robotkit", "servers", "envs", "rl") for path in (ROOT / package).rglob("*.py")]
    wrong = [str(path) for path in sources if re.search(r"\{[^{}]*:\+(?!z)[^{}]*\.\d[fg]\}", path.read_text())]
    assert wrong == []
