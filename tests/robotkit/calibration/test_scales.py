"""D1: a board or a lens of another size than was given is named, and a sound one is not."""

from __future__ import annotations

import functools
import itertools

import cv2
import numpy as np
import pytest

import robotkit as rk
from robotkit import spatial
from robotkit.calibration.geometry import Estimate, make_view
from robotkit.calibration.hand_eye import calibrate_hand_eye
from robotkit.calibration.recording import HandEyeRecording, HandEyeSample
from robotkit.calibration.scales import Scale, Scales, measure_scales, require_right_scales
from robotkit.drivers.tags import corners_in_tag_m
from tests.support import tag_picture
from tests.support.calibration_rig import RIGS, Rig, tags_in_camera

CORNER_PX, ARM_M, ARM_RAD = 0.15, 1e-4, 2e-4
"""Standard deviations of what a camera finds, and of what an arm reports."""
SEEDS = range(12)


@functools.cache
def projected(mount: str, count: int, seed: int) -> HandEyeRecording:
    """Samples whose corners are computed, with the noise of a camera and of an arm."""
    rig, generator, points_m = RIGS[mount], np.random.default_rng(seed), corners_in_tag_m(tag_picture.SIZE_M)
    samples = [_sample(rig, tag, points_m, generator) for tag in itertools.islice(tags_in_camera(seed), count)]
    return HandEyeRecording(mount=mount, intrinsics=tag_picture.LENS, samples=tuple(samples))


def _sample(rig: Rig, tag: np.ndarray, points_m: np.ndarray, generator: np.random.Generator) -> HandEyeSample:
    lens = tag_picture.LENS
    matrix = np.array([[lens.fx_px, 0.0, lens.cx_px], [0.0, lens.fy_px, lens.cy_px], [0.0, 0.0, 1.0]])
    corners_px, _ = cv2.projectPoints(
        points_m, spatial.rotation_vector_from_quaternion(tag[3:]), tag[:3], matrix, np.zeros(4)
    )
    moved_m, turned_rad = generator.normal(0, ARM_M, 3), generator.normal(0, ARM_RAD, 3)
    return HandEyeSample(
        tcp_pose_in_base=spatial.integrate_delta(rig.tcp_pose_that_shows(tag), moved_m, turned_rad),
        points_in_board_m=points_m,
        corners_px=corners_px.reshape(-1, 2) + generator.normal(0, CORNER_PX, (4, 2)),
    )


def mistaken(taken: HandEyeRecording, board: float = 1.0, focal: float = 1.0, **lens: float) -> HandEyeRecording:
    """The same pictures, of a board and through a lens whose given sizes are wrong by these factors.

    `lens` gives single values: factors of `fx_px` and `fy_px`, pixels more of `cx_px` and `cy_px`.
    """
    given = taken.intrinsics
    update = {"fx_px": focal * given.fx_px, "fy_px": focal * given.fy_px}
    for name, by in lens.items():
        update[name] = getattr(given, name) * by if name.startswith("f") else getattr(given, name) + by
    return taken.model_copy(
        update={
            "intrinsics": given.model_copy(update=update),
            "samples": tuple(
                sample.model_copy(update={"points_in_board_m": board * sample.points_in_board_m})
                for sample in taken.samples
            ),
        }
    )


def scales_of(taken: HandEyeRecording) -> Scales:
    """From a start at the truth."""
    rig = RIGS[taken.mount]
    views = [make_view(sample, taken.mount, taken.lens) for sample in taken.samples]
    return measure_scales(Estimate(rig.camera, rig.tag), views, taken.lens)


@functools.cache
def sound_scales(mount: str, count: int, seed: int) -> Scales:
    return scales_of(projected(mount, count, seed))


@pytest.mark.parametrize("factor", [0.97, 1.03])
@pytest.mark.parametrize("mount", ["base", "tcp"])
def test_a_board_that_was_printed_larger_or_smaller_is_refused(mount, factor):
    taken = mistaken(projected(mount, 16, 3), board=factor)
    board = scales_of(taken).board
    assert board.ratio == pytest.approx(1.0 / factor, abs=0.003)
    with pytest.raises(
        rk.InvalidConfiguration, match=r"the board is [01]\.\d+ \+- .* measure its printed squares"
    ) as told:
        calibrate_hand_eye(taken)
    assert "focal length" not in str(told.value)


@pytest.mark.parametrize("factor", [0.97, 1.03])
@pytest.mark.parametrize("mount", ["base", "tcp"])
def test_a_lens_of_another_focal_length_is_refused(mount, factor):
    taken = mistaken(projected(mount, 16, 3), focal=factor)
    found = scales_of(taken)
    assert found.focal_x.ratio == pytest.approx(1.0 / factor, abs=0.01)
    assert found.focal_y.ratio == pytest.approx(1.0 / factor, abs=0.01)
    with pytest.raises(
        rk.InvalidConfiguration, match=r"focal length is [01]\.\d+ \+- .* \(robotkit calibrate camera"
    ) as told:
        calibrate_hand_eye(taken)
    assert "the board" not in str(told.value)


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (
            {"fx_px": 1.03},
            r"taken with: the horizontal focal length is 0\.9[67]\d+ \+- \S+ times the given one: calibrate",
        ),
        (
            {"fy_px": 0.97},
            r"taken with: the vertical focal length is 1\.0[23]\d+ \+- \S+ times the given one: calibrate",
        ),
        (
            {"cx_px": 15.0},
            r"taken with: the principal point is -1[3-7]\.\d \+- \S+ px beside the given cx_px: calibrate",
        ),
        ({"cy_px": -15.0}, r"taken with: the principal point is \+1[3-7]\.\d \+- \S+ px beside the given cy_px: calib"),
    ],
)
@pytest.mark.parametrize("mount", ["base", "tcp"])
def test_a_lens_that_is_wrong_in_one_number_is_refused_with_its_name(mount, mistake, words):
    with pytest.raises(rk.InvalidConfiguration, match=words):
        calibrate_hand_eye(mistaken(projected(mount, 16, 3), **mistake))


def test_both_are_named_when_both_are_wrong():
    with pytest.raises(rk.InvalidConfiguration, match=r"the board is 0\.9\d+ .*; the horizontal focal length is 1\.0"):
        calibrate_hand_eye(mistaken(projected("tcp", 16, 3), board=1.04, focal=0.96))


@pytest.mark.parametrize("count", [8, 16])
@pytest.mark.parametrize("mount", ["base", "tcp"])
def test_a_sound_board_and_a_sound_lens_are_never_refused(mount, count):
    for seed in SEEDS:
        require_right_scales(sound_scales(mount, count, seed), projected(mount, count, seed).lens)


@pytest.mark.parametrize("kind", ["board", "focal_x", "focal_y", "centre_x", "centre_y"])
@pytest.mark.parametrize("mount", ["base", "tcp"])
def test_the_deviation_is_what_samples_of_other_days_differ_by(mount, kind):
    """The corners of a picture share the error of the arm's pose: counted as independent they promise too much."""
    found = [getattr(sound_scales(mount, 16, seed), kind) for seed in SEEDS]
    spread = float(np.std([scale.ratio for scale in found]))
    told = float(np.sqrt(np.mean([scale.deviation**2 for scale in found])))
    assert 0.8 <= told / spread <= 2.0


@pytest.mark.parametrize(
    ("scale", "is_right"),
    [
        (Scale(1.0, 0.0), True), (Scale(1.0029, 0.0), True), (Scale(0.9971, 0.0), True), (Scale(1.0031, 0.0), False),
        (Scale(0.9969, 0.0), False), (Scale(1.0329, 0.01), True), (Scale(0.9671, 0.01), True),
        (Scale(1.0331, 0.01), False), (Scale(0.9669, 0.01), False),
    ],
)  # fmt: skip
def test_a_scale_may_differ_by_three_thousandths_and_three_standard_deviations(scale, is_right):
    assert scale.is_right == is_right


@pytest.mark.parametrize("mount", ["base", "tcp"])
def test_the_stated_deviation_of_the_camera_holds(mount):
    """For a lens whose principal point is wrong by as much as is not noticed, too."""
    rig, errors = RIGS[mount], []
    for seed in SEEDS[:3]:
        found = calibrate_hand_eye(mistaken(projected(mount, 16, seed), cx_px=1.5))
        turned_rad = spatial.angle_between(found.camera_pose_in_mount[3:], rig.camera[3:])
        moved_m = spatial.distance_between(found.camera_pose_in_mount, rig.camera)
        errors.append((moved_m / found.deviation_m, turned_rad / found.deviation_rad))
    assert (np.median(errors, axis=0) < 1.5).all()
    assert np.max(errors) < 3.0
