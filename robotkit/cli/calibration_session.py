"""The dialogue and the files that both calibration commands share."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from robotkit.calibration import boards
from robotkit.calibration.cell_file import CellFile
from robotkit.cli.calibrate import Calibration
from robotkit.cli.tables import make_table
from robotkit.errors import InvalidConfiguration

_PICTURE_KINDS = (".png", ".pdf", ".svg", ".jpg")


def make_board(options: Calibration) -> boards.Board:
    """The board that the options describe.

    Raises:
        InvalidConfiguration: they do not describe one.
    """
    if options.board == "chessboard":
        return boards.Chessboard(options.columns, options.rows, options.square_m)
    if options.board == "charuco":
        return boards.CharucoBoard(options.columns, options.rows, options.square_m, options.marker_m, options.family)
    if options.size_m is None or options.size_m <= 0.0:
        raise InvalidConfiguration("--board tag needs --size-m, the edge of the tag's black square in metres")
    return boards.TagBoard(options.family, options.tag_id, options.size_m)


def open_file(options: Calibration) -> CellFile:
    """The workcell file.

    Raises:
        InvalidConfiguration: it cannot be read or, unless the result is only printed, cannot be replaced.
    """
    file = CellFile(options.cell, options.camera)
    if not options.print_only:
        require_writable(options.cell)
    return file


def picture_path(options: Calibration, kind: str) -> Path:
    """The path of the picture of the residuals.

    Raises:
        InvalidConfiguration: nothing can be written there.
    """
    path = options.picture or beside_cell(options, f"{kind}.png")
    if path.suffix not in _PICTURE_KINDS:
        raise InvalidConfiguration(f"{path}: a picture's name ends in one of: {', '.join(_PICTURE_KINDS)}")
    require_writable(path)
    return path


def beside_cell(options: Calibration, ending: str) -> Path:
    """A file beside the workcell file, named after it and the camera."""
    camera = re.sub(r"[^\w-]+", "_", options.camera)
    return options.cell.with_name(f"{options.cell.stem}_{camera}_{ending}")


def require_writable(path: Path) -> None:
    """Raise `InvalidConfiguration` unless a file can be written at `path`."""
    if path.is_dir():
        raise InvalidConfiguration(f"{path} is a folder; give the name of a file")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise InvalidConfiguration(f"{path} cannot be written: {str(path.parent)!r} is no folder that you may write to")


def say(sentence: str) -> None:
    """Print a sentence."""
    Console().print(Text(sentence))


def ask(count: int) -> bool:
    """Wait for Enter; False when the person ends the capture."""
    try:
        answer = input(f"{count} taken. Enter takes one, q and Enter ends: ")
    except EOFError:
        return False
    return answer.strip().lower() not in ("q", "quit")


def show_table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table."""
    table = make_table(*heads, title=title)
    for row in rows:
        table.add_row(*(Text(value) for value in row))
    Console().print(table)
