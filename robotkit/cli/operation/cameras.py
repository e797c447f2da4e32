"""`robotkit cameras`."""

from __future__ import annotations

import dataclasses
import json
import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from robotkit.cli.camera_watch import oldest_s, rate_hz, watched
from robotkit.cli.cell_argument import open_cell
from robotkit.cli.operation.connection import connected
from robotkit.cli.operation.contact_sheet import contact_sheet
from robotkit.cli.tables import make_table
from robotkit.devices import BaseCamera
from robotkit.devices.words import said_of
from robotkit.errors import InvalidConfiguration
from robotkit.workcell import Workcell


@dataclass(frozen=True)
class CameraReport:
    """The result for one camera; a field that does not apply is None."""

    camera: str
    file: str | None = None
    """Where its picture was saved."""
    width_px: int | None = None
    height_px: int | None = None
    rate_hz: float | None = None
    """Measured frame rate; None in lock-step, where a camera has no rate of its own."""
    asked_rate_hz: float | None = None
    """Frame rate that the workcell file asks for, in this process."""
    age_s: float | None = None
    """The greatest age of a frame when it was asked for."""
    error: str | None = None
    """Why there is no picture."""


def save_pictures(
    cell_name: str, token: str | None, folder: Path, as_sheet: bool, watch_s: float, as_json: bool
) -> int:
    """Watch every camera of a cell and save its newest picture."""
    if not 0.0 < watch_s < math.inf:
        raise InvalidConfiguration(f"--watch-s {watch_s:g}: the time to watch must be positive")
    cell = open_cell(cell_name, token)
    if not cell.cameras:
        raise InvalidConfiguration(f"cell {cell.name!r} has no camera")
    with connected(cell):
        seen = [_see(cell, name, camera, watch_s) for name, camera in cell.cameras.items()]
    reports = list(_saved(cell.name, seen, folder, as_sheet))
    if as_json:
        print(json.dumps([dataclasses.asdict(report) for report in reports], indent=1))  # noqa: T201
    else:
        Console().print(_table(reports))
    return int(any(report.error is not None for report in reports))


def _see(cell: Workcell, name: str, camera: BaseCamera, watch_s: float) -> tuple[CameraReport, np.ndarray | None]:
    try:
        with camera, warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            readings = list(watched(cell, camera, watch_s))
    except Exception as error:  # a plugin's own errors too
        return CameraReport(name, error=said_of(error)), None
    if caught:  # such as a simulated camera that cannot be rendered here
        return CameraReport(name, error=str(caught[0].message)), None
    rgb = readings[-1].frame.rgb
    report = CameraReport(
        name,
        width_px=rgb.shape[1],
        height_px=rgb.shape[0],
        rate_hz=None if cell.clock.is_lockstep else rate_hz(readings),
        asked_rate_hz=getattr(camera.config, "rate_hz", None),
        age_s=oldest_s(readings),
    )
    return report, rgb


def _saved(
    cell: str, seen: Sequence[tuple[CameraReport, np.ndarray | None]], folder: Path, as_sheet: bool
) -> Iterator[CameraReport]:
    from imageio.v3 import imwrite

    folder.mkdir(parents=True, exist_ok=True)
    sheet = folder / f"{_file_name(cell)}.png"
    pictures = {report.camera: rgb for report, rgb in seen if rgb is not None}
    if as_sheet and pictures:
        imwrite(sheet, contact_sheet(pictures))
    for report, rgb in seen:
        if rgb is None:
            yield report
            continue
        path = sheet
        if not as_sheet:
            path = folder / f"{_file_name(cell)}-{_file_name(report.camera)}.png"
            imwrite(path, rgb)
        yield dataclasses.replace(report, file=str(path))


def _file_name(name: str) -> str:
    return quote(name, safe=" ")


def _table(reports: Sequence[CameraReport]) -> Table:
    table = make_table("camera", "picture", "size", "frames/s", "age")
    for report in reports:
        if report.error is not None:
            table.add_row(Text(report.camera), Text(report.error, style="bold red"))
            continue
        asked = "" if report.asked_rate_hz is None else f" of {report.asked_rate_hz:g}"
        table.add_row(
            Text(report.camera),
            Text(report.file or ""),
            f"{report.width_px}x{report.height_px}",
            "lock-step" if report.rate_hz is None else f"{report.rate_hz:.1f}{asked}",
            f"{1e3 * (report.age_s or 0.0):.0f} ms",
        )
    return table
