"""`cell`: each body in turn, connected and reset."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import robotkit as rk
from tests.contracts.bodies import BODIES


@pytest.fixture(params=list(BODIES))
def cell(request: pytest.FixtureRequest) -> Iterator[rk.Workcell]:
    with BODIES[request.param]() as built:
        built.reset(seed=0)
        yield built
