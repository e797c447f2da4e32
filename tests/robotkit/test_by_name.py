"""A name that a cell does not have is answered with the names that it has."""

from __future__ import annotations

import pytest

import robotkit as rk
from tests.serving import served


def test_an_unknown_camera_tracker_or_pose_is_answered_with_those_that_there_are():
    with rk.make_workcell("fake") as cell:
        for things, name, answer in (
            (cell.cameras, "frnt", "there is no camera 'frnt'. Did you mean 'front'? There are: front, wrist"),
            (cell.trackers, "object", "there is no tracker 'object'. There are: block"),
            (cell.get_state().poses, "object", "there is no tracked pose 'object'. There are: block"),
        ):
            with pytest.raises(rk.UnknownName) as refused:
                things[name]
            assert str(refused.value) == answer
            assert isinstance(refused.value, KeyError)
            assert name not in things
            assert things.get(name) is None


def test_so_it_is_in_a_cell_behind_a_server():
    with served(rk.make_workcell("fake", clock="real")) as url, rk.make_workcell(url) as cell:
        with pytest.raises(rk.UnknownName, match="There are: front, wrist"):
            cell.cameras["frnt"]
        with pytest.raises(rk.UnknownName, match="There are: block"):
            cell.get_state().poses["object"]


@pytest.mark.parametrize(
    ("override", "answer"),
    [
        (
            {"cameras.frnt.width_px": 64},
            r"no camera 'frnt'\. Did you mean 'front'\?.*a new one needs cameras\.frnt\.type",
        ),
        ({"trackers.peg.noise_m": 0.1}, r"no tracker 'peg'\. There are: block; a new one needs trackers\.peg\.type"),
    ],
)
def test_an_override_of_a_device_that_is_not_there_names_those_that_are(override, answer):
    with pytest.raises(rk.InvalidConfiguration, match=answer):
        rk.make_workcell("fake", **override)
