"""`cell`: the pick-cube cell in lock-step, connected and reset."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import robotkit as rk


@pytest.fixture
def cell() -> Iterator[rk.Workcell]:
    with rk.make_workcell("mujoco-pick-cube") as built:
        built.reset(seed=0)
        yield built
