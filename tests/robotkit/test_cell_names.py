"""U10: what is called a cell is the same everywhere: a name, a workcell file, or the URL of a robot server."""

from __future__ import annotations

from pathlib import Path

import pytest

import robotkit as rk
from envs import registration
from robotkit.cli import cell_argument
from servers import ServerSettings
from tests.serving import REPOSITORY, served

_TOKEN = "a secret of the lab"
_LAB = REPOSITORY / "examples" / "cells" / "mujoco.toml"


def test_u10_a_url_is_a_cell_wherever_a_cell_is_asked_for(monkeypatch):
    """`make_workcell`, `gymnasium.make(cell=…)` and the commands ask one function."""
    monkeypatch.delenv("ROBOTKIT_TOKEN", raising=False)
    with served(rk.make_workcell("fake", clock="real"), ServerSettings(token=_TOKEN)) as url:
        with pytest.raises(rk.Unauthorized):
            rk.make_workcell(url)
        for opened in (
            rk.make_workcell(url, token=_TOKEN),
            registration.open_cell(url, {}, _TOKEN),
            cell_argument.open_cell(url, _TOKEN),
        ):
            with opened:
                assert opened.get_state().robot.mode == "holding"
        monkeypatch.setenv("ROBOTKIT_TOKEN", _TOKEN)
        for opened in (
            rk.make_workcell(url),
            registration.open_cell(url, {}, None),
            cell_argument.open_cell(url, None),
        ):
            assert opened.name == "fake"
        with pytest.raises(rk.InvalidConfiguration, match="clock cannot be overridden"):
            rk.make_workcell(url, clock="real")


@pytest.mark.parametrize(
    "cell", ["fake", _LAB, str(_LAB), rk.make_workcell("fake")], ids=["name", "path", "file", "built"]
)
def test_u10_a_token_belongs_to_a_url(cell: str | Path | rk.Workcell):
    with pytest.raises(rk.InvalidConfiguration, match="token"):
        registration.open_cell(cell, {}, _TOKEN)
    if not isinstance(cell, rk.Workcell):
        with pytest.raises(rk.InvalidConfiguration, match="a token belongs to the URL of a robot server"):
            rk.make_workcell(cell, token=_TOKEN)


@pytest.mark.parametrize(
    ("cell", "error", "hint"),
    [
        ("http://", rk.InvalidConfiguration, "names no host"),
        ("http://lab.toml:70000", rk.InvalidConfiguration, "a port is a number"),
        ("nowhere.toml", rk.InvalidConfiguration, "nowhere.toml"),
        ("mujoco-pick-cub", rk.UnknownPlugin, "Did you mean 'mujoco-pick-cube'.*URL of a robot server"),
    ],
)
def test_u10_what_is_no_cell_is_said_with_what_is_one(cell, error, hint):
    with pytest.raises(error, match=hint):
        rk.make_workcell(cell)
