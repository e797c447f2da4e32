"""`CellContract`: a connected workcell for each test of a contract."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest

from robotkit.workcell import Workcell


class CellContract:
    """The base class of the contracts of arms, grippers, cameras, trackers and cells.

    A subclass says with `make_cell` which workcell is tested, or overrides the fixture `cell`.
    """

    def make_cell(self) -> AbstractContextManager[Workcell]:
        """The workcell under test; entering it connects it. A `Workcell` is such a context manager."""
        raise NotImplementedError(
            f"{type(self).__name__} has no cell to test: let its make_cell() return a workcell, "
            "as robotkit.make_workcell('my-cell.toml') makes one"
        )

    @pytest.fixture
    def cell(self) -> Iterator[Workcell]:
        """The workcell under test, connected and reset."""
        with self.make_cell() as cell:
            cell.reset(seed=0)
            yield cell
