"""The arm of the tests of the state machine."""

from __future__ import annotations

import pytest

from tests.support.recording_arm import RecordingArm, connected_arm


@pytest.fixture
def arm() -> RecordingArm:
    """A connected one that records what it is told."""
    return connected_arm()
