"""The pose at which a camera is mounted, calculated from pictures of a board and the arm's poses."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from robotkit import spatial
from robotkit.calibration.closed_form import NoSolution, Solver, solvers
from robotkit.calibration.geometry import Estimate, View, errors_px, make_view, refine, rms_px
from robotkit.calibration.lens import Lens
from robotkit.calibration.recording import HandEyeRecording, Mount
from robotkit.calibration.scales import measure_scales, require_right_scales
from robotkit.errors import InvalidConfiguration

MIN_SAMPLES = 8
_TURN_MIN_RAD = np.deg2rad(8.0)
"""Root mean square rotation between two samples about the second of the three principal axes."""
_DRAWS, _DRAW_SIZE, _TRIMS = 40, 5, 4
_OUTLIER_FACTOR, _OUTLIER_MIN_PX = 3.5, 1.0
_KEPT_SHARE_MIN = 0.6
_ERROR_MAX = 0.01
"""Largest error of half of the samples, as a share of the focal length: 1 cm at 1 m."""
_FOLDS = 5
_CONTRADICTION = (
    "the samples contradict each other; is the board fixed, is its size right, is the lens calibrated, and is the "
    "camera mounted where --mount says?"
)
_DEVIATION_MAX_M, _DEVIATION_MAX_RAD = 0.003, np.deg2rad(0.5)
REFINED = "refined"


@dataclass(frozen=True)
class HeldOut:
    """The error of a method on held-out samples (cross-validation)."""

    rms_px: float
    position_m: float
    """Root mean square distance between the board where it is predicted and where each picture alone shows it."""
    angle_rad: float


@dataclass(frozen=True)
class HandEye:
    """The calibrated pose of the camera, and the residuals of the samples."""

    mount: Mount
    camera_pose_in_mount: np.ndarray
    """Pose (7,) of the camera in the base, or in the tool: z looks out of the lens, x runs right and y down."""
    board_pose_in_other: np.ndarray
    """Pose (7,) of the board in the other of the two frames."""
    method: str
    """The method with the smallest held-out error."""
    held_out: Mapping[str, HeldOut]
    """Held-out errors of every method, by its name."""
    sample_rms_px: np.ndarray
    """Root mean square error of every sample in pixels, shape (n,)."""
    errors_px: tuple[np.ndarray, ...]
    """Found minus expected corners of every sample, shape (corners, 2) each."""
    is_kept: np.ndarray
    """True for the samples that were used, bool (n,)."""
    deviation_m: float
    """Standard deviation of the camera's position, from the spread of the samples and of what board and lens may be."""
    deviation_rad: float


def calibrate_hand_eye(recording: HandEyeRecording) -> HandEye:
    """Solve a hand-eye calibration.

    OpenCV's closed forms start from random draws, so that a few wrong samples do not spoil the start; samples that the
    best of them does not explain are left out. Every method, and the least-squares refinement of the reprojection
    error, is then judged by samples that it has not seen, and the best one is taken.

    Raises:
        InvalidConfiguration: too few samples, too little rotation, samples that contradict each other, or a board or a
            lens other than was given.
        MissingExtra: this build of OpenCV lacks the solvers.
    """
    lens, methods = recording.lens, solvers()
    views = _views(recording)
    _require_samples(views)
    robust = _trimmed(_robust_start(methods, views, lens), views, lens)
    all_rms_px = rms_px(robust, views, lens)
    _require_agreement(float(np.median(all_rms_px)), lens)
    is_kept = all_rms_px <= max(_OUTLIER_MIN_PX, _OUTLIER_FACTOR * float(np.median(all_rms_px)))
    kept = [view for view, is_fine in zip(views, is_kept, strict=True) if is_fine]
    _require_kept(len(kept), len(views))
    _require_rotation(kept)
    held_out = {name: _held_out(_fit(name, methods, robust, lens), kept, lens) for name in (REFINED, *methods)}
    method = min(held_out, key=lambda name: held_out[name].rms_px)
    scales = measure_scales(robust, kept, lens)
    require_right_scales(scales, lens)
    refined = refine(robust, kept, lens)
    best = refined if method == REFINED else methods[method](kept)
    deviation_m, deviation_rad = (float(np.linalg.norm(part)) for part in np.split(scales.camera_deviations, 2))
    _require_certainty(deviation_m, deviation_rad)
    return HandEye(
        mount=recording.mount,
        camera_pose_in_mount=best.camera_in_carrier,
        board_pose_in_other=best.board_in_stage,
        method=method,
        held_out=held_out,
        sample_rms_px=rms_px(best, views, lens),
        errors_px=tuple(errors_px(best, view, lens) for view in views),
        is_kept=is_kept,
        deviation_m=deviation_m,
        deviation_rad=deviation_rad,
    )


def _views(recording: HandEyeRecording) -> list[View]:
    views = [make_view(sample, recording.mount, recording.lens) for sample in recording.samples]
    for number, view in enumerate(views, 1):
        if view is None:
            raise InvalidConfiguration(
                f"sample {number} shows no pose of the board: its corners lie in one line or one point; remove it"
            )
    return [view for view in views if view is not None]


def _robust_start(methods: Mapping[str, Solver], views: Sequence[View], lens: Lens) -> Estimate:
    """The closed form, over all samples or a few drawn ones, whose median error is smallest."""
    generator = np.random.default_rng(0)
    draws = [list(views)]
    draws += [[views[i] for i in generator.choice(len(views), _DRAW_SIZE, replace=False)] for _ in range(_DRAWS)]
    candidates = []
    for draw, name in itertools.product(draws, ("Park", "Daniilidis")):
        with suppress(NoSolution):
            candidates.append(methods[name](draw))
    if not candidates:
        raise InvalidConfiguration(_CONTRADICTION)
    return min(candidates, key=lambda found: float(np.median(rms_px(found, views, lens))))


def _trimmed(start: Estimate, views: Sequence[View], lens: Lens) -> Estimate:
    """Least squares over the share of the samples that fits best, chosen anew a few times (Rousseeuw 1984)."""
    count, estimate = math.ceil(_KEPT_SHARE_MIN * len(views)), start
    for _ in range(_TRIMS):
        best = np.argsort(rms_px(estimate, views, lens))[:count]
        estimate = refine(estimate, [views[i] for i in best], lens)
    return estimate


def _fit(name: str, methods: Mapping[str, Solver], start: Estimate, lens: Lens) -> Solver:
    return methods[name] if name != REFINED else lambda views: refine(start, views, lens)


def _held_out(fit: Solver, views: Sequence[View], lens: Lens) -> HeldOut:
    """Fit on all folds but one and predict that one, for each fold."""
    pixels, distances_m, angles_rad = [], [], []
    for fold in range(_FOLDS):
        try:
            estimate = fit([view for number, view in enumerate(views) if number % _FOLDS != fold])
        except NoSolution:
            return HeldOut(math.inf, math.inf, math.inf)
        for view in views[fold::_FOLDS]:
            expected = estimate.board_in_camera(view.carrier_in_stage)
            pixels.append(rms_px(estimate, [view], lens)[0])
            distances_m.append(spatial.distance_between(expected, view.board_in_camera))
            angles_rad.append(spatial.angle_between(expected[3:], view.board_in_camera[3:]))
    return HeldOut(*(float(np.sqrt(np.mean(np.square(values)))) for values in (pixels, distances_m, angles_rad)))


def _require_samples(views: Sequence[View]) -> None:
    if len(views) < MIN_SAMPLES:
        raise InvalidConfiguration(
            f"a hand-eye calibration needs at least {MIN_SAMPLES} samples (15 to 20 are good); there are {len(views)}"
        )
    _require_rotation(views)


def _require_rotation(views: Sequence[View]) -> None:
    pairs = itertools.combinations([view.carrier_in_stage[3:] for view in views], 2)
    # In the carrier's own axes: about which of its axes the hand was turned between two samples.
    turns = np.array([spatial.rotation_vector_from_quaternion(_turn(a, b)) for a, b in pairs])
    spread_rad = np.sqrt(np.maximum(np.linalg.eigvalsh(turns.T @ turns / len(turns)), 0.0))[::-1]
    if spread_rad[1] < _TURN_MIN_RAD:
        first, second = np.rad2deg(spread_rad[:2])
        raise InvalidConfiguration(
            "the samples do not determine the camera's pose: between them the hand has to turn about two different "
            f"axes, by about 20 degrees or more; it turned by {first:.1f} degrees about one and {second:.1f} about a "
            "second (root mean square). Tilt the hand to all four sides, and turn it about its own axis"
        )


def _turn(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    zero = np.zeros(3)
    return spatial.relative_pose(spatial.make_pose(zero, a), spatial.make_pose(zero, b))[3:]


def _require_agreement(usual_px: float, lens: Lens) -> None:
    if not usual_px <= _ERROR_MAX * lens.intrinsics.fx_px:
        raise InvalidConfiguration(f"{_CONTRADICTION} (half of them are off by more than {usual_px:.1f} px)")


def _require_kept(kept: int, given: int) -> None:
    if kept >= _KEPT_SHARE_MIN * given and kept < MIN_SAMPLES:
        raise InvalidConfiguration(
            f"{given - kept} of {given} samples do not fit the others, and {MIN_SAMPLES} that do are needed (15 to 20 "
            "samples are good): take more"
        )
    if kept < _KEPT_SHARE_MIN * given:
        raise InvalidConfiguration(f"{_CONTRADICTION} (only {kept} of {given} agree with each other)")


def _require_certainty(deviation_m: float, deviation_rad: float) -> None:
    if deviation_m > _DEVIATION_MAX_M or deviation_rad > _DEVIATION_MAX_RAD:
        raise InvalidConfiguration(
            f"the samples determine the camera's pose only to {1e3 * deviation_m:.1f} mm and "
            f"{np.rad2deg(deviation_rad):.2f} degrees (standard deviation; allowed {1e3 * _DEVIATION_MAX_M:g} mm and "
            f"{np.rad2deg(_DEVIATION_MAX_RAD):g} degrees); take more samples, turn the hand further between them, and "
            "bring the board closer to the camera"
        )
