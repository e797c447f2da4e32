"""D1: however a workcell file is written, a calibration finds its place in it and leaves the rest alone."""

from __future__ import annotations

import stat
from pathlib import Path

import numpy as np
import pytest

import robotkit as rk
from robotkit import cells
from robotkit.calibration.cell_file import CellFile
from tests.support.calibration_rig import pose

HEAD = '# Our lab.\nname = "lab"\nrobot.type = "fake"\n'
CAMERA = 'type = "opencv"\ndevice = 0\n'
TRACKER = (
    'type = "apriltag"\ncamera = "front"\ncamera_pose_in_base = [1, 0, 0.6, 1, 0, 0, 0]  # by eye\nsize_m = 0.06\n'
)
POSE = "[1, 0, 0.6, 1, 0, 0, 0]"
LAYOUTS = {
    "tables": f"{HEAD}[cameras.front]\n{CAMERA}\n[trackers.block]\n{TRACKER}# the end\n",
    "inline": f"""{HEAD}cameras = {{ front = {{ type = "opencv", device = 0 }} }}
[trackers]
block = {{ type = "apriltag", camera = "front", camera_pose_in_base = {POSE}, size_m = 0.06 }}  # by eye
# the end
""",
    "dotted": f"""{HEAD}cameras.front.type = "opencv"
trackers.block.type = "apriltag"
trackers.block.camera = "front"  # by eye
trackers.block.camera_pose_in_base = {POSE}
trackers.block.size_m = 0.06
# the end
""",
    "two trackers": f"""{HEAD}[cameras.front]
{CAMERA}[trackers.block]
{TRACKER}tag_id = 1
[trackers.lid]
{TRACKER}# the end
""",
}
MOUNTED = pose((0.05, 0.01, 0.02), 0.1, 0.2, 1.0)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("mount", ["base", "tcp"])
def test_every_way_to_write_a_file_receives_mount_and_lens(tmp_path: Path, layout, mount):
    path = tmp_path / "lab.toml"
    path.write_text(LAYOUTS[layout])
    path.chmod(0o640)
    file = CellFile(path, "front")
    file.set_mount(mount, MOUNTED)
    file.set_lens(rk.Intrinsics(fx_px=600, fy_px=601, cx_px=320, cy_px=240), (0.1, -0.2, 0.001, 0.002))
    file.save()
    config = cells.load_workcell_config(path)
    assert config.cameras["front"].options["intrinsics"]["fy_px"] == 601
    for ref in config.trackers.values():
        assert ref.options["camera_mount"] == mount
        np.testing.assert_allclose(ref.options[f"camera_pose_in_{mount}"], MOUNTED, atol=1e-6)
        assert f"camera_pose_in_{'base' if mount == 'tcp' else 'tcp'}" not in ref.options
        assert ref.options["distortion"] == [0.1, -0.2, 0.001, 0.002]
    text = path.read_text()
    assert text.startswith("# Our lab.")
    assert "# the end\n" in text
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert rk.make_workcell(path).trackers


def test_a_variant_of_another_cell_receives_only_what_differs(tmp_path: Path, monkeypatch):
    lab = tmp_path / "lab.toml"
    lab.write_text(LAYOUTS["tables"])
    monkeypatch.setattr(cells, "find_workcell", lambda name: lambda: cells.load_workcell_config(lab))
    path = tmp_path / "variant.toml"
    path.write_text('base = "lab"  # as there\nname = "variant"\n')
    file = CellFile(path, "front")
    file.set_mount("base", MOUNTED)
    file.save()
    options = cells.load_workcell_config(path).trackers["block"].options
    np.testing.assert_allclose(options["camera_pose_in_base"], MOUNTED, atol=1e-6)
    assert options["size_m"] == 0.06
    assert path.read_text().startswith('base = "lab"  # as there\n')


def test_trackers_of_other_cameras_and_other_kinds_are_left_alone(tmp_path: Path):
    path = tmp_path / "lab.toml"
    other = TRACKER.replace('camera = "front"', 'camera = "side"')
    path.write_text(
        f"{LAYOUTS['tables']}[cameras.side]\n{CAMERA}[trackers.lid]\n{other}[trackers.cap]\n"
        'type = "fake"\npose_in_base = [0, 0, 0, 0, 0, 0, 1]\n'
    )
    before = cells.load_workcell_config(path).trackers
    file = CellFile(path, "front")
    assert file.trackers() == ["block"]
    file.set_mount("tcp", MOUNTED)
    file.save()
    after = cells.load_workcell_config(path).trackers
    assert after["lid"] == before["lid"]
    assert after["cap"] == before["cap"]


def test_nothing_is_written_before_it_is_saved(tmp_path: Path):
    path = tmp_path / "lab.toml"
    path.write_text(LAYOUTS["tables"])
    CellFile(path, "front").set_mount("tcp", MOUNTED)
    assert path.read_text() == LAYOUTS["tables"]


def test_a_link_stays_a_link(tmp_path: Path):
    (tmp_path / "real.toml").write_text(LAYOUTS["tables"])
    link = tmp_path / "lab.toml"
    link.symlink_to("real.toml")
    file = CellFile(link, "front")
    file.set_mount("tcp", MOUNTED)
    file.save()
    assert link.is_symlink()
    assert 'camera_mount = "tcp"' in (tmp_path / "real.toml").read_text()
