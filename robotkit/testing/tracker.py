"""`TrackerContract`: the laws of every pose tracker."""

from __future__ import annotations

import numpy as np
import pytest

import robotkit as rk
from robotkit.testing.cell_contract import CellContract
from robotkit.workcell import Workcell


class TrackerContract(CellContract):
    """Laws of every pose tracker, checked on the first tracker of the cell; the arm may be the fake one.

    Its object is in sight. Overriding the fixture `tracker` selects another one.
    """

    @pytest.fixture
    def tracker(self, cell: Workcell) -> rk.BasePoseTracker:
        """The tracker under test."""
        return next(iter(cell.trackers.values()))

    def test_a_tracked_pose_is_a_pose(self, tracker: rk.BasePoseTracker) -> None:
        """A pose has a position and a unit quaternion."""
        tracked = tracker.get_pose()
        assert tracked.pose_in_base.shape == (7,)
        assert np.linalg.norm(tracked.pose_in_base[3:]) == pytest.approx(1.0, abs=1e-6)

    def test_an_object_is_found_where_it_was_put(self, cell: Workcell, tracker: rk.BasePoseTracker) -> None:
        """An object that was placed is found at its place."""
        if not cell.can_place_objects:
            pytest.skip("this cell has no world that could place objects")
        name = next(name for name, known in cell.trackers.items() if known is tracker)
        pose = tracker.get_pose().pose_in_base.copy()
        pose[:2] += [0.03, -0.04]
        state = cell.reset(seed=1, object_poses_in_base={name: pose})
        np.testing.assert_allclose(state.poses[name].pose_in_base[:2], pose[:2], atol=5e-3)
        np.testing.assert_allclose(tracker.get_pose().pose_in_base[:2], pose[:2], atol=5e-3)

    def test_a_disconnected_tracker_says_so(self, cell: Workcell, tracker: rk.BasePoseTracker) -> None:
        """A disconnected tracker raises `NotConnected`."""
        cell.disconnect()
        with pytest.raises(rk.NotConnected):
            tracker.get_pose()
