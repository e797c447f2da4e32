"""Every recording of SERL against our counterpart."""

import pytest

from tests.golden.pending import PENDING
from tests.golden.serl import Fixture, fixtures, load_adapters

ADAPTERS = load_adapters()


@pytest.mark.parametrize("fixture", [f for f in fixtures() if f.target in ADAPTERS], ids=lambda f: f.name)
def test_equals_the_recording(fixture: Fixture) -> None:
    ADAPTERS[fixture.target](fixture)


def test_every_target_is_covered_or_pending() -> None:
    targets = {fixture.target for fixture in fixtures()}
    assert targets <= ADAPTERS.keys() | PENDING.keys()
    assert not ADAPTERS.keys() & PENDING.keys()
