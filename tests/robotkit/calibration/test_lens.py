"""D1: a lens is found from pictures of boards; what does not determine it is refused."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest

import robotkit as rk
from robotkit import spatial
from robotkit.calibration.boards import CharucoBoard, Chessboard, Sighting, TagBoard
from robotkit.calibration.folder import sightings_in_folder
from robotkit.calibration.lens import calibrate_lens
from robotkit.drivers.frames import FrameConfig, captured_intrinsics, shape_intrinsics
from tests.support import tag_picture
from tests.support.calibration_rig import board_picture, noisy, pose

SIZE = (tag_picture.WIDTH, tag_picture.HEIGHT)
CHARUCO = CharucoBoard(7, 5, 0.03, 0.022, "4x4_50")
CHESS = Chessboard(6, 4, 0.03)
PX_PER_SQUARE = 80


def charuco_texture() -> np.ndarray:
    return CHARUCO.board.generateImage((7 * PX_PER_SQUARE, 5 * PX_PER_SQUARE))


def chess_texture() -> np.ndarray:
    """7x5 squares with a white margin; the first inner corner lies one margin and one square from the upper left."""
    squares = (np.add.outer(np.arange(5), np.arange(7)) % 2 * 255).astype(np.uint8)
    return np.kron(squares, np.ones((PX_PER_SQUARE, PX_PER_SQUARE), np.uint8))


def board_poses(count: int, seed: int, tilt_rad: float = 0.6) -> list[np.ndarray]:
    """The board's middle near the middle of the picture, tilted in all directions."""
    generator, poses = np.random.default_rng(seed), []
    to_corner = pose((-0.105, -0.075, 0.0))
    for _ in range(count):
        x_m, y_m, z_m = generator.uniform((-0.04, -0.03, 0.27), (0.04, 0.03, 0.38))
        tilts = generator.uniform(-tilt_rad, tilt_rad, 2)
        middle = pose((x_m, y_m, z_m), *tilts, generator.uniform(-0.3, 0.3))
        poses.append(spatial.compose(middle, to_corner))
    return poses


def pictures(board, texture: np.ndarray, count: int, seed: int, **options: float) -> list[np.ndarray]:
    generator, metres = np.random.default_rng(seed), 0.03 / PX_PER_SQUARE
    return [noisy(board_picture(board, at, texture, metres), generator) for at in board_poses(count, seed, **options)]


def projected(count: int, seed: int, distortion: tuple[float, ...], noise_px: float = 0.05) -> list[Sighting]:
    """Corners as a lens with distortion shows them."""
    generator, points = np.random.default_rng(seed), np.asarray(CHARUCO.board.getChessboardCorners(), np.float64)
    lens, sightings = tag_picture.LENS, []
    matrix = np.array([[lens.fx_px, 0.0, lens.cx_px], [0.0, lens.fy_px, lens.cy_px], [0.0, 0.0, 1.0]])
    for at in board_poses(count, seed):
        turned = spatial.rotation_vector_from_quaternion(at[3:])
        corners, _ = cv2.projectPoints(points, turned, at[:3], matrix, np.array(distortion))
        sightings.append(Sighting(points, corners.reshape(-1, 2) + generator.normal(0, noise_px, (len(points), 2))))
    return sightings


def assert_is_the_lens(found: rk.Intrinsics, share: float = 0.01) -> None:
    true = tag_picture.LENS
    assert found.fx_px == pytest.approx(true.fx_px, rel=share)
    assert found.fy_px == pytest.approx(true.fy_px, rel=share)
    assert (found.cx_px, found.cy_px) == pytest.approx((true.cx_px, true.cy_px), abs=6.0)


def test_a_lens_is_found_from_rendered_charuco_boards():
    sightings = [CHARUCO.find(picture) for picture in pictures(CHARUCO, charuco_texture(), 14, 0)]
    assert all(sighting is not None for sighting in sightings)
    found = calibrate_lens(sightings, SIZE)
    assert_is_the_lens(found.lens.intrinsics)
    assert found.rms_px < 0.3
    assert found.rejected == ()


def test_a_lens_is_found_from_rendered_chessboards():
    sightings = [CHESS.find(picture) for picture in pictures(CHESS, chess_texture(), 14, 1)]
    seen = [sighting for sighting in sightings if sighting is not None]
    assert len(seen) >= 10
    assert_is_the_lens(calibrate_lens(seen, SIZE).lens.intrinsics)


def test_distortion_is_found():
    distortion = (-0.25, 0.08, 0.001, -0.0005)
    found = calibrate_lens(projected(16, 2, distortion), SIZE)
    assert_is_the_lens(found.lens.intrinsics, 0.005)
    assert found.lens.distortion == pytest.approx(distortion, abs=0.02)


def test_a_picture_that_does_not_fit_is_left_out():
    sightings = projected(14, 3, (0.0, 0.0, 0.0, 0.0))
    spoilt = sightings[5]
    sightings[5] = Sighting(
        spoilt.points_in_board_m, spoilt.corners_px + np.random.default_rng(0).normal(0, 8, (24, 2))
    )
    found = calibrate_lens(sightings, SIZE)
    assert found.rejected == (5,)
    assert_is_the_lens(found.lens.intrinsics, 0.005)


def test_too_few_pictures_are_refused():
    with pytest.raises(rk.InvalidConfiguration, match="at least 8 pictures"):
        calibrate_lens(projected(7, 0, (0, 0, 0, 0)), SIZE)


def test_a_board_that_is_never_tilted_is_refused():
    sightings = [CHARUCO.find(picture) for picture in pictures(CHARUCO, charuco_texture(), 10, 4, tilt_rad=0.001)]
    with pytest.raises(rk.InvalidConfiguration, match="tilt the board"):
        calibrate_lens([sighting for sighting in sightings if sighting is not None], SIZE)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: CharucoBoard(2, 5, 0.03, 0.02, "4x4_50"), "3x3 squares"),
        (lambda: CharucoBoard(7, 5, 0.02, 0.03, "4x4_50"), "smaller than its squares"),
        (lambda: CharucoBoard(15, 15, 0.03, 0.02, "4x4_50"), "too few markers"),
        (lambda: Chessboard(2, 4, 0.03), "3x3 inner corners"),
        (lambda: Chessboard(6, 4, 0.0), "squares with an edge"),
        (lambda: TagBoard("tag16h5", 30, 0.05), "from 0 to 29"),
        (lambda: TagBoard("tag16h5", -1, 0.05), "from 0 to 29"),
        (lambda: TagBoard("tag16h5", 0, 0.0), "an edge"),
        (lambda: TagBoard("tag16h5", 0, 60.0), "give it in metres"),
        (lambda: CharucoBoard(7, 5, 30.0, 22.0, "4x4_50"), "give it in metres"),
        (lambda: Chessboard(6, 4, math.nan), "give it in metres"),
    ],
)
def test_a_board_that_cannot_exist_is_refused(make, words):
    with pytest.raises(rk.InvalidConfiguration, match=words):
        make()


def test_half_a_charuco_board_is_seen_and_an_empty_picture_is_not():
    picture = pictures(CHARUCO, charuco_texture(), 1, 0)[0]
    whole = CHARUCO.find(picture)
    picture[:, : int(whole.corners_px[:, 0].mean())] = 128
    half = CHARUCO.find(picture)
    assert 6 <= len(half.corners_px) < len(whole.corners_px)
    assert CHARUCO.find(np.full((480, 640), 128, np.uint8)) is None
    assert CHESS.find(np.full((480, 640), 128, np.uint8)) is None


def test_the_lens_of_the_captured_picture_undoes_crop_and_size():
    config = FrameConfig(
        crop_left_px=80, crop_top_px=20, crop_width_px=400, crop_height_px=400, width_px=128, height_px=96
    )
    back = captured_intrinsics(shape_intrinsics(tag_picture.LENS, config), config)
    assert back.model_dump() == pytest.approx(tag_picture.LENS.model_dump())


def test_a_folder_of_pictures_is_read_in_order(tmp_path: Path):
    for number, picture in enumerate(pictures(CHARUCO, charuco_texture(), 3, 0)):
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture)
    cv2.imwrite(str(tmp_path / "9.jpg"), np.full((480, 640), 100, np.uint8))
    (tmp_path / "notes.txt").write_text("not a picture")
    sightings, size, without = sightings_in_folder(tmp_path, CHARUCO)
    assert (len(sightings), size, without) == (3, SIZE, ["9.jpg"])


def test_a_folder_that_cannot_be_used_is_refused_in_a_sentence(tmp_path: Path):
    with pytest.raises(rk.InvalidConfiguration, match="no folder"):
        sightings_in_folder(tmp_path / "none", CHARUCO)
    with pytest.raises(rk.InvalidConfiguration, match="no picture"):
        sightings_in_folder(tmp_path, CHARUCO)
    for name, size in (("a.png", (480, 640)), ("b.png", (240, 320))):
        cv2.imwrite(str(tmp_path / name), np.zeros(size, np.uint8))
    with pytest.raises(rk.InvalidConfiguration, match=r"different sizes: a\.png has 640x480; b\.png has 320x240"):
        sightings_in_folder(tmp_path, CHARUCO)
    (tmp_path / "a.png").write_bytes(b"not a picture")
    with pytest.raises(rk.InvalidConfiguration, match=r"a\.png is not a picture"):
        sightings_in_folder(tmp_path, CHARUCO)
