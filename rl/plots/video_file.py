"""`VideoFile`: a video that is written in a thread of its own while its frames are still being made."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np

_ENCODER_TIMEOUT_S = 60.0  # a hundred frames take less than one


class VideoFile:
    """An .mp4 whose frames are encoded beside the loop that makes them, which never waits for the encoder.

    The file has its name when it is complete; before, its name begins with a dot.

    Args:
        path: the file; its folder is made, and a file of that name is replaced.
        fps: frames per second.
    """

    def __init__(self, path: Path, fps: float) -> None:
        self._path, self._fps = path, fps
        self._draft = path.with_name(f".{path.name}")
        self._frames: SimpleQueue[np.ndarray | None] = SimpleQueue()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._write, name="video", daemon=True)
        self._thread.start()

    def add(self, frame: np.ndarray) -> None:
        """Take a frame, uint8 (height, width, 3), all of one size; it may be written to afterwards."""
        if self._failure is None:
            self._frames.put(np.array(frame))

    def finish(self) -> None:
        """Wait until all frames are written.

        Raises:
            TimeoutError: the encoder does not end.
            Exception: of the encoder or of the system, such as OSError for a full disk; there is no file then.
        """
        self._end()
        if self._failure is not None:
            raise self._failure
        self._draft.replace(self._path)

    def give_up(self) -> None:
        """Leave no file behind."""
        self._end()
        with suppress(OSError):
            self._draft.unlink(missing_ok=True)

    def _end(self) -> None:
        self._frames.put(None)
        self._thread.join(_ENCODER_TIMEOUT_S)
        if self._thread.is_alive():
            self._failure = TimeoutError(f"the encoder is not done after {_ENCODER_TIMEOUT_S:g} s")

    def _write(self) -> None:
        try:
            import imageio.v2 as imageio

            self._draft.parent.mkdir(parents=True, exist_ok=True)
            writer: Any = imageio.get_writer(self._draft, format="FFMPEG", fps=self._fps)
            with writer:
                while (frame := self._frames.get()) is not None:
                    writer.append_data(frame)
        except Exception as error:
            self._failure = error
            with suppress(OSError):
                self._draft.unlink(missing_ok=True)
