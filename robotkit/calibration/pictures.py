"""Pictures of a calibration's residuals, as PNG files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from robotkit.calibration.hand_eye import HandEye
from robotkit.calibration.lens import LensCalibration

_KEPT, _REJECTED = "tab:blue", "tab:red"


def draw_lens(found: LensCalibration, path: Path) -> None:
    """Errors over the picture, enlarged, and the error of each picture."""
    corners, errors = np.concatenate(found.corners_px), np.concatenate(found.errors_px)
    enlargement = 0.03 * found.size_px[0] / max(float(np.abs(errors).max()), 1e-9)
    figure = Figure((11, 4.5), layout="constrained")
    over_picture, by_picture = figure.subplots(1, 2, width_ratios=(3, 2))
    over_picture.quiver(*corners.T, *errors.T * enlargement, angles="xy", scale_units="xy", scale=1, color=_KEPT)
    over_picture.set(
        title=f"found minus expected corners, {enlargement:.0f} times enlarged",
        xlabel="column in px",
        ylabel="row in px",
        xlim=(0, found.size_px[0]),
        ylim=(found.size_px[1], 0),
        aspect="equal",
    )
    _bars(by_picture, np.array([np.sqrt(np.mean(np.sum(error**2, axis=1))) for error in found.errors_px]), "picture")
    figure.suptitle(f"lens: {found.rms_px:.3f} px root mean square, {len(found.rejected)} pictures left out")
    figure.savefig(path, dpi=120)


def draw_hand_eye(found: HandEye, path: Path) -> None:
    """Errors of all corners, the error of each sample, and what each method makes of samples that it has not seen."""
    figure = Figure((14, 4.5), layout="constrained")
    scatter, by_sample, by_method = figure.subplots(1, 3)
    for kept, colour, label in ((True, _KEPT, "used"), (False, _REJECTED, "left out")):
        errors = [error for error, is_kept in zip(found.errors_px, found.is_kept, strict=True) if is_kept == kept]
        if errors:
            scatter.scatter(*np.concatenate(errors).T, s=8, color=colour, label=label)
    scatter.axhline(0.0, color="grey", linewidth=0.5)
    scatter.axvline(0.0, color="grey", linewidth=0.5)
    scatter.legend()
    scatter.set(title="found minus expected corners", xlabel="columns in px", ylabel="rows in px")
    scatter.axis("equal")
    _bars(by_sample, found.sample_rms_px, "sample", found.is_kept)
    names = list(found.held_out)
    colours = [_KEPT if name == found.method else "lightgrey" for name in names]
    by_method.barh(names, [found.held_out[name].rms_px for name in names], color=colours)
    by_method.set(title="held-out error by method", xlabel="px, root mean square", xscale="log")
    figure.suptitle(
        f"camera in {found.mount}, by {found.method}: ±{1e3 * found.deviation_m:.2f} mm, "
        f"±{np.rad2deg(found.deviation_rad):.3f} degrees (standard deviation)"
    )
    figure.savefig(path, dpi=120)


def _bars(axes: Axes, values: np.ndarray, kind: str, is_kept: np.ndarray | None = None) -> None:
    colours = [_KEPT] * len(values) if is_kept is None else [_KEPT if kept else _REJECTED for kept in is_kept]
    axes.bar(np.arange(len(values)), values, color=colours)
    axes.set(title=f"error of each {kind}", xlabel=kind, ylabel="px, root mean square")
