"""What tests of several rooms need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rl.data.journal import TransitionJournal


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[TransitionJournal]:
    with TransitionJournal(tmp_path / "journal.sqlite") as opened:
        yield opened
