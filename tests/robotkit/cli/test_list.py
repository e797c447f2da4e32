"""`robotkit list`: what is there, with the options, types, defaults and units of one plugin or cell."""

from __future__ import annotations

import io
import json
import sys

import pytest
from rich.console import Console

import robotkit as rk
from robotkit.cells import workcell_names
from robotkit.cli import listing, main
from robotkit.cli.option_rows import Option, options_of, unit_of, values_of
from robotkit.registry import ALL, Registry, trackers
from tests.serving import served


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict]:
    assert main(["list", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def named(options: list[dict]) -> dict[str, dict]:
    return {option["name"]: option for option in options}


def test_list_shows_the_names_of_every_kind_and_loads_nothing(capsys, monkeypatch):
    monkeypatch.setattr(Registry, "get", lambda registry, name: pytest.fail("it is loaded"))
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    for registry in ALL:
        assert f"{registry.kind}s" in out
        assert all(name in out for name in registry.names())
    assert "mujoco-pick-cube" in out


def test_all_names_as_json_are_kinds_and_names_and_load_nothing(capsys, monkeypatch):
    monkeypatch.setattr(Registry, "get", lambda registry, name: pytest.fail("it is loaded"))
    entries = listed(capsys)
    pairs = [(entry.pop("kind"), entry.pop("name")) for entry in entries]
    assert not any(entries)
    plugins = {(registry.kind, name) for registry in ALL for name in registry.names()}
    assert set(pairs) == plugins | {("workcell", name) for name in workcell_names()}
    assert len(pairs) == len(set(pairs))


def test_list_all_shows_every_plugin_with_its_options(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["list", "all"]) == 0
    out = capsys.readouterr().out
    for registry in ALL:
        assert all(f"{registry.kind} {name}" in out for name in registry.names())
    for word in ("time_constant_s", "float, > 0.0", "0.05", "Lag behind a target", "Array(7)"):
        assert word in out


def test_several_names_and_kinds_are_shown_once_each(capsys):
    pairs = [(entry["kind"], entry["name"]) for entry in listed(capsys, "keyboard", "trackers", "apriltag")]
    assert pairs[0] == ("teleop", "keyboard")
    assert sorted(pairs[1:]) == [("tracker", name) for name in trackers.names()]


def test_list_shows_how_to_get_a_missing_package(tmp_path, monkeypatch):
    (tmp_path / "needs_franky.py").write_text("import franky\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "franky", None)
    robots = Registry("robot", rk.BaseRobotServer, {"franka": "needs_franky:Franka"})
    console = Console(width=200, file=io.StringIO())
    console.print(listing.entry_table(listing.plugin_entry(robots, "franka")))
    assert "pip install 'robotkit[franka]'" in console.file.getvalue()


def test_a_name_is_shown_in_every_kind_that_has_it(capsys):
    entries = listed(capsys, "fake")
    assert [entry["kind"] for entry in entries] == [*(registry.kind for registry in ALL), "workcell"]
    lag = named(entries[1]["options"])["time_constant_s"]
    assert (lag["default"], lag["unit"], lag["is_required"]) == (0.05, "s", False)
    assert "float" in lag["type"]
    assert lag["about"].startswith("Lag behind a target")


def test_the_table_of_one_plugin_shows_units(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["list", "robotiq"]) == 0
    out = capsys.readouterr().out
    assert "poll_period_s" in out
    assert "Pause between two status readings" in out
    assert "unit" in out


def test_a_cell_is_shown_with_its_own_values(capsys, tmp_path):
    file = tmp_path / "lab.toml"
    file.write_text('base = "fake"\nname = "lab"\n[robot]\nlatency_s = 0.25\n[limits]\nmax_force_n = 33.0\n')
    (entry,) = listed(capsys, str(file))
    values = {name: option["default"] for name, option in named(entry["options"]).items()}
    assert (entry["kind"], entry["name"], values["clock"]) == ("workcell", "lab", "lockstep")
    assert (values["robot.type"], values["robot.latency_s"], values["robot.time_constant_s"]) == ("fake", 0.25, 0.05)
    assert (values["limits.max_force_n"], values["limits.workspace.position_max_m"]) == (33.0, [0.8, 0.4, 0.6])
    assert values["cameras.front.type"] == "fake"


def test_a_served_cell_is_shown_under_its_url(capsys):
    with served(rk.make_workcell("fake", clock="real")) as url:
        (entry,) = listed(capsys, url)
    values = {name: option["default"] for name, option in named(entry["options"]).items()}
    assert (entry["name"], values["clock"], values["robot.name"]) == ("fake", "real", "fake")


def test_a_cell_that_takes_arguments_is_shown_with_them(capsys):
    (entry,) = listed(capsys, "remote")
    assert named(entry["options"])["url"]["is_required"]
    assert named(entry["options"])["timeout_s"]["default"] == 5.0


@pytest.mark.parametrize(("name", "hint"), [("frnka", "Did you mean 'franka'?"), ("missing.toml", "no workcell file")])
def test_what_is_not_there_is_a_users_error(name, hint, capsys):
    assert main(["list", name]) == 2
    assert hint in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("max_tcp_speed_m_s", "m/s"), ("max_joint_speed_rad_s", "rad/s"), ("watchdog_s", "s"), ("force_n", "N"),
        ("collision_torque_nm", "Nm"), ("translational_stiffness_n_m", "N/m"), ("rate_hz", "Hz"), ("speed", ""),
        ("rotational_damping_nms_rad", "Nm s/rad"), ("mass_kg", "kg"), ("inertia_kg_m2", "kg m^2"), ("model", ""),
    ],
)  # fmt: skip
def test_the_end_of_a_name_is_its_unit(name, unit):
    assert unit_of(name) == unit


class _Inner(rk.schema.Message):
    """What is inside."""

    depth_m: float = 1.0


class _Outer(rk.PluginConfig):
    given: _Inner = _Inner(depth_m=2.0)
    left_out: _Inner | None = None
    needed_s: float


def test_options_inside_options_have_dotted_names_and_their_true_defaults():
    options = {option.name: option for option in options_of(_Outer)}
    assert list(options) == ["given.depth_m", "left_out", "left_out.depth_m", "needed_s"]
    assert (options["given.depth_m"].default, options["left_out.depth_m"].default) == (2.0, 1.0)
    assert options["left_out"].about == "What is inside."
    assert options["needed_s"] == Option("needed_s", "float", None, "s", "", is_required=True)


def test_values_replace_defaults():
    values = {option.name: option.default for option in values_of(_Outer(needed_s=3.0, left_out=_Inner()))}
    assert values == {"given.depth_m": 2.0, "left_out.depth_m": 1.0, "needed_s": 3.0}


def test_every_option_of_every_plugin_has_a_type_that_a_person_can_read():
    for registry in ALL:
        for name in registry.names():
            for option in listing.plugin_entry(registry, name).options:
                assert " at 0x" not in option.type, (name, option)
                assert "numpy" not in option.type, (name, option)
