"""D1: `robotkit calibrate` from the shell: it commands nothing, and writes only what was checked."""

from __future__ import annotations

import builtins
import signal
import sys
import tomllib
from pathlib import Path

import cv2
import numpy as np
import pytest

import robotkit as rk
from robotkit import spatial
from robotkit.calibration.cell_file import CellFile
from robotkit.calibration.recording import load_recording, save_recording
from robotkit.cli import calibrate, calibrate_hand_eye, main
from tests.robotkit.calibration.test_lens import CHARUCO, assert_is_the_lens, charuco_texture, pictures
from tests.serving import served
from tests.support import tag_picture
from tests.support.calibration_rig import RIGS, recording, rig_cell, tags_in_camera
from tests.support.recording_arm import fail_with

CELL = """# Our lab.
name = "lab"

[robot]
type = "fake"   # the arm

[cameras.front]
type = "opencv"
device = 0
capture_width_px = 640
capture_height_px = 480

[trackers.block]    # the tagged block
type = "apriltag"
camera = "front"
camera_pose_in_base = [1.0, 0.0, 0.6, 1.0, 0.0, 0.0, 0.0]   # measured by eye
tag_id = 3
size_m = 0.06
distortion = [0.1, 0.0, 0.0, 0.0]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "lab.toml"
    path.write_text(CELL)
    return path


def tracker_in(file: Path) -> dict[str, object]:
    return tomllib.loads(file.read_text())["trackers"]["block"]


def recorded_hand_eye(file: Path) -> list[str]:
    """The command that solves the samples beside the cell file."""
    return ["calibrate", "hand-eye", str(file), "--camera", "front", "--samples", str(file.parent / "samples.json")]


def taking(file):
    """The command that takes samples of a tag by hand."""
    tag = ["--board", "tag", "--family", "tag36h11", "--tag-id", "3", "--size-m", "0.06"]
    return ["calibrate", "hand-eye", str(file), "--camera", "front", *tag]


def files_beside(file: Path) -> set[str]:
    return {path.name for path in file.parent.iterdir()}


@pytest.mark.parametrize("mount", ["base", "tcp"])
def test_recorded_samples_end_in_the_cell_file_and_in_a_picture(file, mount, capsys):
    save_recording(file.parent / "samples.json", recording(RIGS[mount], 14, 0))
    arguments = recorded_hand_eye(file)
    assert main(arguments) == 0
    tracker = tracker_in(file)
    pose = np.array(tracker[f"camera_pose_in_{mount}"])
    assert tracker["camera_mount"] == mount
    assert f"camera_pose_in_{'tcp' if mount == 'base' else 'base'}" not in tracker
    assert spatial.distance_between(pose, RIGS[mount].camera) < 1e-3
    assert spatial.angle_between(pose[3:] / np.linalg.norm(pose[3:]), RIGS[mount].camera[3:]) < np.deg2rad(0.2)
    text = file.read_text()
    assert all(comment in text for comment in ("# Our lab.", "# the arm", "# the tagged block"))
    assert cv2.imread(str(file.parent / "lab_front_hand_eye.png")) is not None
    assert "refined" in capsys.readouterr().out
    assert rk.make_workcell(file).trackers["block"].config.camera_mount == mount


@pytest.mark.parametrize("mount", ["base", "tcp"])
def test_samples_are_taken_when_a_person_presses_enter_and_nothing_is_commanded(file, mount, monkeypatch, capsys):
    rig = RIGS[mount]
    cell = rig_cell(rig)
    tags = tags_in_camera(4)
    asked = []

    def press(prompt: str) -> str:
        asked.append(prompt)
        if len(asked) > 16:
            return "q"
        cell.robot.guided_pose = rig.tcp_pose_that_shows(next(tags))
        return ""

    monkeypatch.setattr(calibrate, "open_cell", lambda name, token: cell)
    monkeypatch.setattr(builtins, "input", press)
    arguments = ["calibrate", "hand-eye", str(file), "--camera", "front", "--mount", mount, "--board", "tag"]
    kept = file.parent / "kept.json"
    arguments += ["--family", "tag36h11", "--tag-id", "3", "--size-m", "0.06", "--save-samples", str(kept)]
    monkeypatch.setattr(CellFile, "distortion", lambda self: ())
    assert main(arguments) == 0
    pose = np.array(tracker_in(file)[f"camera_pose_in_{mount}"])
    assert spatial.distance_between(pose, rig.camera) < 1e-3
    assert len(load_recording(kept).samples) == 16
    assert cell.robot.starts == 0, "a person who guides the arm by hand does not work against its control"
    assert not cell.robot.is_connected
    assert not cell.cameras["front"].is_connected


def test_arm_and_camera_are_read_through_a_server_that_commands_nothing(file, monkeypatch):
    rig = RIGS["tcp"]
    cell = rig_cell(rig)
    tags, keys = tags_in_camera(6), iter([""] * 12 + ["q"])

    def press(prompt: str) -> str:
        cell.robot.guided_pose = rig.tcp_pose_that_shows(next(tags))
        return next(keys)

    monkeypatch.setattr(builtins, "input", press)
    with served(cell) as url:
        arguments = ["calibrate", "hand-eye", str(file), "--camera", "front", "--mount", "tcp", "--url", url]
        arguments += ["--board", "tag", "--family", "tag36h11", "--tag-id", "3", "--size-m", "0.06"]
        monkeypatch.setattr(CellFile, "distortion", lambda self: ())
        assert main(arguments) == 0
    assert spatial.distance_between(np.array(tracker_in(file)["camera_pose_in_tcp"]), rig.camera) < 1e-3


def test_a_moving_arm_and_a_hidden_board_give_no_sample(file, monkeypatch, capsys):
    cell = rig_cell(RIGS["base"])
    keys = iter(["", "", "q"])

    def press(prompt: str) -> str:
        key = next(keys)
        cell.robot.drift_m = 0.002 if prompt.startswith("0") and not cell.robot.drift_m else 0.0
        cell.robot.guided_pose = RIGS["base"].tcp_pose_that_shows(tag_picture.tag_pose_in_camera(5.0, 0, 0.3, 0, 0))
        return key

    monkeypatch.setattr(calibrate, "open_cell", lambda name, token: cell)
    monkeypatch.setattr(builtins, "input", press)
    before = file.read_text()
    assert main(taking(file)) == 2
    printed = capsys.readouterr()
    assert "the tool moved by" in printed.out
    assert "not in sight" in " ".join(printed.out.split())
    assert "at least 8 samples" in printed.err
    assert file.read_text() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--camera", "wrist"], "no camera 'wrist'"),
        (["--camera", "front", "--board", "chessboard"], "ambiguous"),
        (["--camera", "front", "--board", "tag"], "--size-m"),
        (["--camera", "front", "--picture", "/no/such/folder/a.png"], "cannot be written"),
        (["--camera", "front", "--picture", "/tmp"], "one of: .png"),
        (["--camera", "front", "--picture", "residuals.gif"], "one of: .png"),
        (["--camera", "front", "--board", "tag", "--size-m", "0.05", "--save-samples", "/tmp"], "is a folder"),
        (["--camera", "front", "--samples", "none.json"], "cannot read"),
    ],
)
def test_r8_a_wrong_request_is_one_sentence_and_touches_nothing(file, arguments, words, capsys):
    assert main(["calibrate", "hand-eye", str(file), *arguments]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert (file.read_text(), files_beside(file)) == (CELL, {"lab.toml"})


def test_r8_samples_that_determine_nothing_leave_the_file_as_it_is(file, capsys):
    save_recording(file.parent / "few.json", recording(RIGS["base"], 4, 0))
    arguments = ["calibrate", "hand-eye", str(file), "--camera", "front", "--samples", str(file.parent / "few.json")]
    assert main(arguments) == 2
    assert (file.read_text(), files_beside(file)) == (CELL, {"lab.toml", "few.json"})


def test_a_pose_of_an_arm_that_measures_nothing_any_more_is_no_sample(file, monkeypatch, capsys):
    cell, keys = rig_cell(RIGS["base"]), iter(["", "q"])
    measure = cell.robot.get_state
    monkeypatch.setattr(
        cell.robot, "get_state", lambda: measure().model_copy(update={"stamp_s": measure().stamp_s - 9})
    )
    monkeypatch.setattr(calibrate, "open_cell", lambda name, token: cell)
    monkeypatch.setattr(builtins, "input", lambda prompt: next(keys))
    assert main(taking(file)) == 2
    printed = capsys.readouterr()
    assert "has measured nothing for 9.0 s" in " ".join(printed.out.split())
    assert "at least 8 samples" in printed.err


def test_samples_of_a_person_are_never_lost(file, monkeypatch, capsys):
    cell, keys = rig_cell(RIGS["base"]), iter(["", "", "q"])
    monkeypatch.setattr(calibrate, "open_cell", lambda name, token: cell)
    monkeypatch.setattr(builtins, "input", lambda prompt: next(keys))
    assert main(taking(file)) == 2
    assert "at least 8 samples" in capsys.readouterr().err
    assert len(load_recording(file.parent / "lab_front_samples.json").samples) == 2
    assert file.read_text() == CELL


def test_samples_of_a_person_are_kept_also_where_the_camera_does_not_close(file, monkeypatch, capsys):
    cell, keys = rig_cell(RIGS["base"]), iter(["", "", "q"])
    monkeypatch.setattr(cell.cameras["front"], "disconnect", fail_with(rk.DeviceFault("it hangs")))
    monkeypatch.setattr(calibrate, "open_cell", lambda name, token: cell)
    monkeypatch.setattr(builtins, "input", lambda prompt: next(keys))
    assert main(taking(file)) == 1
    assert "it hangs" in capsys.readouterr().err
    assert len(load_recording(file.parent / "lab_front_samples.json").samples) == 2
    assert not cell.robot.is_connected


def test_a_calibration_that_is_told_to_end_disconnects_the_arm(file, monkeypatch):
    cell = rig_cell(RIGS["base"])
    monkeypatch.setattr(calibrate, "open_cell", lambda name, token: cell)
    monkeypatch.setattr(builtins, "input", lambda prompt: signal.raise_signal(signal.SIGTERM))
    assert main(taking(file)) == 130
    assert not cell.robot.is_connected


def test_what_a_person_edits_meanwhile_stays(file, monkeypatch):
    save_recording(file.parent / "samples.json", recording(RIGS["base"], 14, 0))
    solve = calibrate_hand_eye.calibrate_hand_eye

    def edit_and_solve(taken):
        file.write_text(file.read_text() + "# edited meanwhile\n")
        return solve(taken)

    monkeypatch.setattr(calibrate_hand_eye, "calibrate_hand_eye", edit_and_solve)
    arguments = recorded_hand_eye(file)
    assert main(arguments) == 0
    assert "# edited meanwhile" in file.read_text()
    assert tracker_in(file)["camera_mount"] == "base"


def test_a_camera_without_a_tracker_can_only_be_printed(file, capsys):
    file.write_text(CELL[: CELL.index("[trackers.block]")])
    save_recording(file.parent / "samples.json", recording(RIGS["tcp"], 14, 0))
    arguments = recorded_hand_eye(file)
    assert main(arguments) == 2
    assert "no tracker" in capsys.readouterr().err
    before = file.read_text()
    assert main([*arguments, "--print-only"]) == 0
    assert 'camera_mount = "tcp"' in capsys.readouterr().out
    assert file.read_text() == before


def test_pictures_in_a_folder_become_the_lens_of_the_cell(file, capsys):
    folder = file.parent / "pictures"
    folder.mkdir()
    for number, picture in enumerate(pictures(CHARUCO, charuco_texture(), 12, 0)):
        cv2.imwrite(str(folder / f"{number:02}.png"), picture)
    assert main(["calibrate", "camera", str(file), "--camera", "front", "--pictures", str(folder)]) == 0
    camera = tomllib.loads(file.read_text())["cameras"]["front"]
    assert_is_the_lens(rk.Intrinsics(**camera["intrinsics"]))
    assert len(tracker_in(file)["distortion"]) == 4
    assert tracker_in(file)["distortion"][0] != 0.1
    assert (file.parent / "lab_front_lens.png").stat().st_size > 0
    assert rk.make_workcell(file).cameras["front"].spec.intrinsics is not None


def test_a_camera_that_knows_its_lens_is_not_written(file, capsys):
    file.write_text(
        CELL.replace('type = "opencv"\ndevice = 0\ncapture_width_px = 640\ncapture_height_px = 480', 'type = "fake"')
    )
    assert main(["calibrate", "camera", str(file), "--camera", "front", "--pictures", str(file.parent)]) == 2
    assert "takes no `intrinsics`" in capsys.readouterr().err


def test_pictures_of_a_size_that_the_camera_has_not_are_refused(file, capsys):
    folder = file.parent / "pictures"
    folder.mkdir()
    for number, picture in enumerate(pictures(CHARUCO, charuco_texture(), 12, 0)):
        cv2.imwrite(str(folder / f"{number:02}.png"), picture)
    file.write_text(CELL.replace("capture_width_px = 640", "capture_width_px = 800"))
    before = file.read_text()
    assert main(["calibrate", "camera", str(file), "--camera", "front", "--pictures", str(folder)]) == 2
    assert "the pictures are 640x480; this camera captures 800x480" in capsys.readouterr().err
    assert file.read_text() == before


def test_a_result_that_would_not_validate_leaves_the_file_as_it_is(file):
    opened = CellFile(file, "front")
    opened.set_mount("tcp", np.array([0, 0, 0, 0, 0, 0, 2.0]))
    with pytest.raises(rk.InvalidConfiguration, match="length 2"):
        opened.save()
    assert (file.read_text(), files_beside(file)) == (CELL, {"lab.toml"})


@pytest.mark.parametrize("package", ["cv2", "tomlkit"])
def test_a_missing_package_is_said_with_its_extra(file, package, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, package, None)
    for name in [name for name in sys.modules if name.startswith(("robotkit.calibration", "robotkit.cli.calibrat"))]:
        if name != "robotkit.cli.calibrate":
            monkeypatch.delitem(sys.modules, name)
    assert main(["calibrate", "hand-eye", str(file), "--camera", "front"]) == 2
    assert "pip install 'robotkit[calibration]'" in capsys.readouterr().err
