"""Laws of building a cell from a name, a file or a configuration."""

from __future__ import annotations

import pytest

import robotkit as rk
from robotkit.cells import load_workcell_config

GOOD = """
name = "lab"

[robot]
type = "fake"
dof = 6

[gripper]
type = "fake"

[cameras.front]
type = "fake"
width_px = 32

[limits]
max_force_n = 40.0

[limits.workspace]
position_min_m = [0.2, -0.4, 0.0]
position_max_m = [0.8, 0.4, 0.6]
"""


@pytest.fixture
def write(tmp_path):
    def write_file(text):
        path = tmp_path / "lab.toml"
        path.write_text(text)
        return path

    return write_file


def test_a_file_becomes_a_cell(write):
    path = write(GOOD)
    for source in (path, str(path), load_workcell_config(path)):
        with rk.make_workcell(source) as cell:
            assert cell.name == "lab"
            assert cell.robot.spec.joint_count == 6
            assert cell.cameras["front"].read().rgb.shape == (128, 32, 3)
            assert cell.limits.max_force_n == 40.0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("max_force_n", "max_force", r"limits\.max_force \(line 16\).*Did you mean 'max_force_n'"),
        ("40.0", "-1", r"limits\.max_force_n \(line 16\).*greater than 0.*-1"),
        ("[0.2, -0.4, 0.0]", "[0.9, -0.4, 0.0]", r"limits\.workspace \(line 18\).*must not exceed"),
        ("[0.2, -0.4, 0.0]", "[0.2]", r"position_min_m \(line 19\).*shape \(3\)"),
        ('name = "lab"', "", r"name: is required"),
        ("dof = 6", "dof = 3", r"\[robot\].*dof.*greater than or equal to 6"),
        ("dof = 6", "doff = 6", r"\[robot\].*doff.*Did you mean 'dof'"),
        ("width_px = 32", "width = 32", r"\[cameras\.front\].*'width_px'"),
        ('[gripper]\ntype = "fake"', '[gripper]\ntype = "fakke"', r"\[gripper\].*Did you mean 'fake'"),
        ("dof = 6", "dof = = 6", r"not valid TOML.*line 6"),
    ],
)
def test_a_wrong_file_says_where_and_what_is_allowed(write, old, new, message):
    assert old in GOOD
    path = write(GOOD.replace(old, new))
    with pytest.raises(rk.ConfigurationError, match=message) as caught:
        rk.make_workcell(path)
    assert str(path) in caught.value.message


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(rk.InvalidConfiguration, match=r"nowhere\.toml"):
        rk.make_workcell(tmp_path / "nowhere.toml")


def test_overrides_reach_every_depth(write):
    overrides = {"robot.dof": 8, "limits.max_force_n": 5.0, "cameras.front.height_px": 16, "name": "other"}
    with rk.make_workcell(write(GOOD), **overrides) as cell:
        assert (cell.name, cell.robot.spec.joint_count, cell.limits.max_force_n) == ("other", 8, 5.0)
        assert cell.cameras["front"].spec.height_px == 16
        assert cell.cameras["front"].spec.width_px == 32


def test_an_override_of_nothing_is_refused():
    with pytest.raises(rk.InvalidConfiguration, match="max_force_n"):
        rk.make_workcell("fake", **{"limits.max_forces_n": 1.0})


def test_an_override_leaves_the_configuration_as_it_was(write):
    config = load_workcell_config(write(GOOD))
    rk.make_workcell(config, **{"robot.dof": 8})
    assert rk.make_workcell(config).robot.spec.joint_count == 6


def test_a_file_can_be_a_variant_of_a_registered_cell(write):
    whole = rk.make_workcell("fake")
    variant = rk.make_workcell(
        write('base = "fake"\nname = "long arm"\n[robot]\ndof = 9\n[limits]\nmax_force_n = 7.5\n')
    )
    assert (variant.name, variant.robot.spec.joint_count, variant.limits.max_force_n) == ("long arm", 9, 7.5)
    assert variant.limits.workspace == whole.limits.workspace
    assert variant.trackers.keys() == whole.trackers.keys()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('base = "fakr"', "lab.toml.*Did you mean 'fake'"),
        ('base = "remote"', "lab.toml.*only a cell that is built from a configuration"),
        ('base = "fake"\n[limits]\nmax_force = 1', r"lab.toml.*max_force.*overridden.*limits\.max_force"),
        ('base = "fake"\n[robot]\ndoff = 1', "lab.toml.*doff.*Did you mean 'dof'"),
    ],
)
def test_a_bad_variant_names_its_file(write, text, message):
    with pytest.raises(rk.RobotkitError, match=message):
        rk.make_workcell(write(text))


def test_unknown_cells_get_a_suggestion():
    with pytest.raises(rk.UnknownPlugin, match="Did you mean 'fake'"):
        rk.make_workcell("fakr")


def test_lockstep_needs_a_world():
    with pytest.raises(rk.InvalidConfiguration, match="lockstep"):
        rk.make_workcell("fake", world=None, trackers={})


def test_devices_alone():
    assert rk.make_robot("fake", dof=6).spec.joint_count == 6
    assert rk.make_gripper("fake", width_max_m=0.1).spec.width_max_m == 0.1


def test_building_connects_nothing():
    assert not any(device.is_connected for device in rk.make_workcell("fake").devices())
