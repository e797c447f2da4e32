"""D1: a camera is found where it was mounted, on the base and on the tool; what cannot be determined is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import robotkit as rk
from robotkit import spatial
from robotkit.calibration import closed_form
from robotkit.calibration.hand_eye import HandEye, calibrate_hand_eye
from robotkit.calibration.recording import HandEyeRecording, HandEyeSample, load_recording, save_recording
from tests.support import tag_picture
from tests.support.calibration_rig import RIGS, pose, recording, tags_in_camera


def error_of(found: HandEye) -> tuple[float, float]:
    """Distance in mm and angle in degrees from where the camera really is."""
    true = RIGS[found.mount].camera
    return (
        1e3 * spatial.distance_between(found.camera_pose_in_mount, true),
        float(np.rad2deg(spatial.angle_between(found.camera_pose_in_mount[3:], true[3:]))),
    )


@pytest.mark.parametrize("mount", ["base", "tcp"])
@pytest.mark.parametrize("seed", range(4))
def test_the_camera_is_found_within_1_mm_and_a_fifth_of_a_degree(mount, seed):
    found = calibrate_hand_eye(recording(RIGS[mount], 16, seed))
    error_mm, error_deg = error_of(found)
    assert error_mm <= 1.0
    assert error_deg <= 0.2
    assert found.is_kept.all()
    board = RIGS[mount].tag
    assert spatial.distance_between(found.board_pose_in_other, board) < 1e-3


@pytest.mark.parametrize("mount", ["base", "tcp"])
def test_an_arm_that_knows_its_pose_to_a_tenth_of_a_millimetre_is_good_enough(mount):
    generator, exact = np.random.default_rng(5), recording(RIGS[mount], 20, 11)
    samples = [
        taken.model_copy(
            update={
                "tcp_pose_in_base": spatial.integrate_delta(
                    taken.tcp_pose_in_base, generator.normal(0, 1e-4, 3), generator.normal(0, 2e-4, 3)
                )
            }
        )
        for taken in exact.samples
    ]
    error_mm, error_deg = error_of(calibrate_hand_eye(exact.model_copy(update={"samples": tuple(samples)})))
    assert error_mm <= 1.0
    assert error_deg <= 0.2


@pytest.mark.parametrize("mount", ["base", "tcp"])
def test_samples_that_contradict_the_others_are_left_out(mount):
    sound = recording(RIGS[mount], 18, 2)
    samples = list(sound.samples)
    for number, step_m in ((3, 0.03), (8, 0.1), (14, -0.05)):
        moved = spatial.integrate_delta(samples[number].tcp_pose_in_base, np.full(3, step_m), np.array((0.2, 0, 0)))
        samples[number] = samples[number].model_copy(update={"tcp_pose_in_base": moved})
    found = calibrate_hand_eye(sound.model_copy(update={"samples": tuple(samples)}))
    assert np.flatnonzero(~found.is_kept).tolist() == [3, 8, 14]
    error_mm, error_deg = error_of(found)
    assert error_mm <= 1.0
    assert error_deg <= 0.2


def test_fewer_than_eight_samples_that_fit_are_too_few():
    """One that does not fit is no contradiction: more samples settle it."""
    sound = recording(RIGS["tcp"], 8, 2)
    moved = spatial.integrate_delta(sound.samples[3].tcp_pose_in_base, np.full(3, 0.03), np.zeros(3))
    samples = list(sound.samples)
    samples[3] = samples[3].model_copy(update={"tcp_pose_in_base": moved})
    with pytest.raises(rk.InvalidConfiguration, match="1 of 8 samples do not fit the others, and 8 that do are needed"):
        calibrate_hand_eye(sound.model_copy(update={"samples": tuple(samples)}))


def test_every_method_is_judged_by_samples_that_it_has_not_seen():
    found = calibrate_hand_eye(recording(RIGS["tcp"], 16, 0))
    assert set(found.held_out) == {"refined", *closed_form.solvers()}
    assert found.held_out[found.method].rms_px == min(held.rms_px for held in found.held_out.values())
    assert found.held_out["refined"].rms_px < 0.5
    assert found.deviation_m < 1e-3


@pytest.mark.parametrize("name", ["Tsai", "Park", "Horaud", "Daniilidis", "Shah", "Li"])
@pytest.mark.parametrize("mount", ["base", "tcp"])
def test_each_closed_form_is_exact_on_exact_samples(name, mount):
    from robotkit.calibration.geometry import View

    rig, tags = RIGS[mount], tags_in_camera(3)
    views = []
    for _ in range(12):
        tag = next(tags)
        tcp = rig.tcp_pose_that_shows(tag)
        carrier = tcp if mount == "tcp" else spatial.inverse(tcp)
        views.append(View(carrier, np.zeros((4, 3)), np.zeros((4, 2)), tag))
    found = closed_form.solvers()[name](views)
    for estimate, true in ((found.camera_in_carrier, rig.camera), (found.board_in_stage, rig.tag)):
        assert spatial.distance_between(estimate, true) < 1e-6
        assert spatial.angle_between(estimate[3:], true[3:]) < 1e-6


def test_too_few_samples_are_refused():
    with pytest.raises(rk.InvalidConfiguration, match=r"at least 8 samples .* there are 7"):
        calibrate_hand_eye(recording(RIGS["base"], 7, 0))


@pytest.mark.parametrize("axis", [(0, 0, 1), (1, 0, 0), (0, 0, 0)], ids=str)
@pytest.mark.parametrize("mount", ["base", "tcp"])
def test_turns_about_one_axis_or_none_are_refused(mount, axis):
    start = tag_picture.tag_pose_in_camera(0.0, 0.0, 0.3, 0.3, 0.0)
    generator = np.random.default_rng(1)

    def one_axis():
        while True:
            shift = generator.uniform(-0.04, 0.04, 3)
            yield spatial.compose(pose(tuple(shift)), spatial.compose(start, pose((0, 0, 0), *(
                np.array(axis) * generator.uniform(-0.5, 0.5)))))  # fmt: skip

    with pytest.raises(rk.InvalidConfiguration, match="about two different axes"):
        calibrate_hand_eye(recording(RIGS[mount], 12, 0, one_axis()))


def test_the_wrong_mount_is_refused():
    taken = recording(RIGS["tcp"], 14, 0)
    with pytest.raises(rk.InvalidConfiguration, match="contradict each other"):
        calibrate_hand_eye(taken.model_copy(update={"mount": "base"}))


def test_a_tag_far_away_is_refused_because_it_determines_too_little():
    generator = np.random.default_rng(3)
    taken = recording(RIGS["tcp"], 8, 0)
    blurred = [
        sample.model_copy(update={"corners_px": sample.corners_px + generator.normal(0, 12.0, (4, 2))})
        for sample in taken.samples
    ]
    with pytest.raises(rk.InvalidConfiguration, match=r"standard deviation|contradict each other"):
        calibrate_hand_eye(taken.model_copy(update={"samples": tuple(blurred)}))


@pytest.mark.parametrize(
    "corners", [np.full((4, 2), 100.0), np.array([[0, 0], [10, 0], [20, 0], [30, 0]])], ids=["a point", "a line"]
)
def test_corners_that_show_no_pose_are_named(corners):
    taken = recording(RIGS["tcp"], 10, 0)
    samples = list(taken.samples)
    samples[4] = samples[4].model_copy(update={"corners_px": corners.astype(np.float64)})
    degenerate = taken.model_copy(update={"samples": tuple(samples)})
    with pytest.raises(rk.InvalidConfiguration, match="sample 5 shows no pose"):
        calibrate_hand_eye(degenerate)


def test_a_build_of_opencv_without_the_solvers_is_named(monkeypatch):
    monkeypatch.delattr(closed_form.cv2, "calibrateHandEye", raising=False)
    with pytest.raises(rk.MissingExtra, match="pip install"):
        closed_form.solvers()


def test_a_recording_comes_back_as_it_was(tmp_path: Path):
    taken = recording(RIGS["base"], 3, 0)
    save_recording(tmp_path / "samples.json", taken)
    assert load_recording(tmp_path / "samples.json") == taken


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"mount": "wall"}',
        '{"mount": "tcp", "intrinsics": {"fx_px": 1e400, "fy_px": 1, "cx_px": 0, "cy_px": 0}}',
        '{"mount": "tcp", "intrinsics": {"fx_px": 9, "fy_px": 9, "cx_px": 0, "cy_px": 0}, "distortion": [0.1]}',
    ],
)
def test_a_file_that_is_no_recording_is_refused_in_a_sentence(tmp_path: Path, text):
    (tmp_path / "samples.json").write_text(text)
    with pytest.raises(rk.InvalidConfiguration, match=r"samples\.json holds no hand-eye samples"):
        load_recording(tmp_path / "samples.json")


def test_points_without_corners_are_refused(tmp_path: Path):
    taken = recording(RIGS["base"], 1, 0).samples[0]
    torn = HandEyeSample(
        tcp_pose_in_base=taken.tcp_pose_in_base,
        points_in_board_m=taken.points_in_board_m[:3],
        corners_px=taken.corners_px,
    )
    save_recording(tmp_path / "s.json", HandEyeRecording(mount="base", intrinsics=tag_picture.LENS, samples=(torn,)))
    with pytest.raises(rk.InvalidConfiguration, match="3 points and 4 corners"):
        load_recording(tmp_path / "s.json")
    with pytest.raises(rk.InvalidConfiguration, match="cannot read"):
        load_recording(tmp_path / "none.json")
