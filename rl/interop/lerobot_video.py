"""Writes camera frames to video files, and reads them."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from rl.errors import DataError
from rl.interop.lerobot import load_package

CODEC, PIXELS, QUALITY = "libx264", "yuv420p", "23"
_KEY_FRAMES = "2"  # LeRobot reads single frames at random: every second one can be decoded by itself


def encode_video(path: Path, frames: np.ndarray, fps: int) -> None:
    """Encode frames (n, height, width, 3).

    Raises:
        DataError: height or width is odd, which the codec cannot store.
    """
    height, width = frames.shape[1:3]
    if height % 2 or width % 2:
        raise DataError(f"a video of {height} by {width} pixels cannot be stored: sides must be even; use --images png")
    av = load_package("av")
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(CODEC, rate=fps, options={"crf": QUALITY, "g": _KEY_FRAMES})
        stream.width, stream.height, stream.pix_fmt = width, height, PIXELS
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def video_facts(shape: tuple[int, ...], fps: int) -> dict[str, Any]:
    """The facts of a video column in `info.json`, beside its shape."""
    return {
        "video.height": shape[0],
        "video.width": shape[1],
        "video.codec": "h264",
        "video.pix_fmt": PIXELS,
        "video.is_depth_map": False,
        "video.fps": fps,
        "video.channels": shape[2],
        "has_audio": False,
    }


def decode_video(path: Path, times_s: np.ndarray, tolerance_s: float) -> np.ndarray:
    """Decode the frames nearest to these ascending times.

    Returns:
        (n, height, width, 3) bytes.

    Raises:
        DataError: there is no such file, it is no video, or it has no frame within `tolerance_s` of a time.
    """
    av = load_package("av")
    found: list[np.ndarray] = []
    try:
        with av.open(str(path)) as container:
            before: tuple[float, Any] | None = None
            for shown in _decoded_from(container, float(times_s[0]) - tolerance_s):
                while len(found) < len(times_s) and shown[0] >= times_s[len(found)]:
                    found.append(_nearest(before, shown, times_s[len(found)], tolerance_s, path))
                if len(found) == len(times_s):
                    break
                before = shown
            for time_s in times_s[len(found) :]:
                found.append(_nearest(before, before, time_s, tolerance_s, path))
    except (av.error.FFmpegError, OSError, IndexError) as error:
        raise DataError(f"the video {path} cannot be read: {error}") from error
    return np.stack(found)


def _nearest(
    before: tuple[float, Any] | None, after: tuple[float, Any] | None, time_s: float, tolerance_s: float, path: Path
) -> np.ndarray:
    """The nearer of two neighbouring frames, each with its time."""
    near = min((one for one in (before, after) if one is not None), key=lambda one: abs(one[0] - time_s), default=None)
    if near is None or abs(near[0] - time_s) > tolerance_s:
        raise DataError(f"the video {path} has no frame within {tolerance_s:.3g} s of {time_s:.3f} s")
    frame: np.ndarray = near[1].to_ndarray(format="rgb24")
    return frame


def _decoded_from(container: Any, start_s: float) -> Iterator[tuple[float, Any]]:
    stream = container.streams.video[0]
    container.seek(max(0, int(start_s / stream.time_base)), stream=stream)
    for frame in container.decode(stream):
        yield float(frame.pts * stream.time_base), frame


def to_png(frame: np.ndarray) -> bytes:
    """One frame (height, width, 3), losslessly."""
    content = BytesIO()
    Image.fromarray(frame).save(content, "PNG")
    return content.getvalue()


def from_image(content: bytes, name: str) -> np.ndarray:
    """The pixels (height, width, 3) of an image file.

    Raises:
        DataError: it is no image.
    """
    try:
        with Image.open(BytesIO(content)) as image:
            return np.asarray(image.convert("RGB"))
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise DataError(f"an image of {name} cannot be read: {error}") from error
