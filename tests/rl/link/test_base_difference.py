"""The sentences for a base policy, or a bound of its correction, that is not the one of the run."""

from __future__ import annotations

import pytest

from rl.link.messages import BaseSpec, base_difference

ONE = BaseSpec(policy="a" * 64, scale=(0.1, 0.2))
OTHER = BaseSpec(policy="b" * 64, scale=(0.1, 0.2))
WIDER = BaseSpec(policy="a" * 64, scale=(0.1, 0.4))


@pytest.mark.parametrize(
    ("found", "wanted", "words"),
    [
        (ONE, None, "a run keeps its base policy: the run has none, and here is one. Give base"),
        (None, ONE, "a run keeps its base policy: the run has one, and here is none. Give base"),
        (OTHER, ONE, f"the run corrects the one with the checksum {'a' * 16}…, and here is {'b' * 16}…. A correction"),
        (WIDER, ONE, "the run has residual_scale (0.1, 0.2), and here it is (0.1, 0.4): give base"),
    ],
)
def test_the_sentence_tells_the_run_and_what_is_here_apart(found, wanted, words):
    said = base_difference(found, wanted)
    assert words in said
    assert "as the run has them in its config.json" in said
