"""Pictures of a board from a folder."""

from __future__ import annotations

from pathlib import Path

import cv2

from robotkit.calibration.boards import Board, Sighting
from robotkit.errors import InvalidConfiguration

_ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"}


def sightings_in_folder(folder: Path, board: Board) -> tuple[list[Sighting], tuple[int, int], list[str]]:
    """Look for a board in every picture of a folder, in the order of their names.

    Returns:
        The sightings, width and height of the pictures, and the names of those without the board.

    Raises:
        InvalidConfiguration: no folder, no picture, one that cannot be read, or pictures of different sizes.
    """
    if not folder.is_dir():
        raise InvalidConfiguration(f"there is no folder {str(folder)!r} with pictures")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in _ENDINGS)
    if not paths:
        raise InvalidConfiguration(f"no picture ({', '.join(sorted(_ENDINGS))}) lies in {str(folder)!r}")
    sightings, without, sizes = [], [], {}
    for path in paths:
        grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if grey is None:
            raise InvalidConfiguration(f"{path} is not a picture that OpenCV can read")
        sizes[grey.shape[1], grey.shape[0]] = path.name
        sighting = board.find(grey)
        if sighting is None:
            without.append(path.name)
        else:
            sightings.append(sighting)
    if len(sizes) > 1:
        named = "; ".join(f"{name} has {width}x{height}" for (width, height), name in sizes.items())
        raise InvalidConfiguration(f"the pictures in {str(folder)!r} are of different sizes: {named}")
    return sightings, next(iter(sizes)), without
