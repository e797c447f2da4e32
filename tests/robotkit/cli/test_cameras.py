"""`robotkit cameras`: a picture of each camera, with its rate and age, and the arm left alone."""

from __future__ import annotations

import json

import imageio.v3
import numpy as np
import pytest

import robotkit as rk
from robotkit.cli import main
from robotkit.cli.operation import cameras as command
from robotkit.cli.operation.contact_sheet import contact_sheet
from tests.serving import served

KEYS = {"camera", "file", "width_px", "height_px", "rate_hz", "asked_rate_hz", "age_s", "error"}


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> rk.Workcell:
    """The cell that the command opens."""
    built = rk.make_workcell("fake")
    monkeypatch.setattr(command, "open_cell", lambda name, token: built)
    monkeypatch.setattr(built.robot, "connect", lambda: pytest.fail("the arm is not connected"))
    return built


def told(capsys: pytest.CaptureFixture[str]) -> list[dict]:
    return json.loads(capsys.readouterr().out)


def test_a_picture_is_the_frame_of_its_camera(cell, tmp_path, capsys):
    frames = {}
    for name, camera in cell.cameras.items():
        with camera:
            frames[name] = camera.read().rgb
    assert main(["cameras", "fake", "--out", str(tmp_path / "new"), "--json"]) == 0
    reports = told(capsys)
    assert [report["camera"] for report in reports] == ["front", "wrist"]
    for report in reports:
        assert set(report) == KEYS
        assert (report["rate_hz"], report["error"]) == (None, None), "in lock-step a camera has no rate"
        picture = imageio.v3.imread(report["file"])
        assert picture.shape == (report["height_px"], report["width_px"], 3)
        np.testing.assert_array_equal(picture, frames[report["camera"]])
    assert not any(camera.is_connected for camera in cell.cameras.values())


def test_cameras_behind_a_server_tell_their_rate_and_age(tmp_path, capsys):
    with served(rk.make_workcell("fake", clock="real")) as url:
        assert main(["cameras", url, "--out", str(tmp_path), "--watch-s", "0.2", "--json"]) == 0
    for report in told(capsys):
        assert report["rate_hz"] > 0.0
        assert report["age_s"] >= 0.0


def test_a_simulated_camera_shows_its_scene(tmp_path, capsys):
    assert main(["cameras", "mujoco-pick-cube", "--out", str(tmp_path), "--json"]) == 0
    for report in told(capsys):
        assert imageio.v3.imread(report["file"]).std() > 1.0


def test_a_camera_that_fails_hides_no_other(cell, tmp_path, monkeypatch, capsys):
    def dark() -> None:
        raise rk.StaleState("no frame for 3 s; check its cable")

    monkeypatch.setattr(cell.cameras["front"], "read", dark)
    assert main(["cameras", "fake", "--out", str(tmp_path), "--json"]) == 1
    front, wrist = told(capsys)
    assert (front["file"], front["error"]) == (None, "no frame for 3 s; check its cable")
    assert wrist["error"] is None
    assert [path.name for path in tmp_path.iterdir()] == ["fake-wrist.png"]
    assert main(["cameras", "fake", "--out", str(tmp_path)]) == 1
    assert "no frame for 3 s" in " ".join(capsys.readouterr().out.split())


def test_a_name_never_leaves_the_folder(cell, tmp_path, capsys):
    cell.name = "../lab"
    cell.cameras = {"../../etc/front": cell.cameras["front"]}
    assert main(["cameras", "fake", "--out", str(tmp_path / "in"), "--json"]) == 0
    (report,) = told(capsys)
    assert [str(path) for path in (tmp_path / "in").iterdir()] == [report["file"]]
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_one_contact_sheet_holds_every_camera(cell, tmp_path, capsys):
    assert main(["cameras", "fake", "--out", str(tmp_path), "--sheet", "--json"]) == 0
    files = {report["file"] for report in told(capsys)}
    assert files == {str(tmp_path / "fake.png")} == {str(path) for path in tmp_path.iterdir()}
    assert imageio.v3.imread(files.pop()).shape == (340, 640, 3)


@pytest.mark.parametrize("count", range(1, 8))
def test_each_tile_of_a_contact_sheet_keeps_its_picture(count):
    colours = [(10 * index + 60, 20, 250 - 10 * index) for index in range(count)]
    pictures = {f"camera {index}": np.full((48, 64, 3), colour, np.uint8) for index, colour in enumerate(colours)}
    sheet = contact_sheet(pictures)
    for colour in colours:
        assert (sheet == colour).all(axis=2).sum() == 320 * 240, "scaled to 320 pixels, in its proportions"


@pytest.mark.parametrize(
    ("arguments", "hint"), [(("--watch-s", "0"), "must be positive"), (("--watch-s", "nan"), "must be positive")]
)
def test_a_senseless_time_is_a_users_error(arguments, hint, capsys):
    assert main(["cameras", "fake", *arguments]) == 2
    assert hint in capsys.readouterr().err


def test_a_cell_without_cameras_is_a_users_error(cell, capsys):
    cell.cameras = {}
    assert main(["cameras", "fake"]) == 2
    assert "has no camera" in capsys.readouterr().err
