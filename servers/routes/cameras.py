"""The routes of camera images."""

from __future__ import annotations

from typing import Literal

import numpy as np
from fastapi import APIRouter
from fastapi.responses import Response

from robotkit.errors import UnknownPlugin
from robotkit.schema import Frame
from robotkit.schema.wire import DEPTH_HEADER, SHAPE_HEADER, STAMP_HEADER
from robotkit.workcell import Workcell
from servers.context import ContextDep

router = APIRouter(prefix="/v1/cameras", tags=["cameras"])

ImageFormat = Literal["raw", "png", "jpeg"]


@router.get("/{name}/frame", response_class=Response)
async def get_frame(context: ContextDep, name: str, format: ImageFormat = "raw") -> Response:
    """The newest image.

    `raw`: uint8 RGB rows, then, when the camera measures depth, float32 metres, little-endian; shape, stamp and depth
    are in the headers. `png` and `jpeg`: colour only.
    """
    return await context.lanes.images.run(_image, context.workcell, name, format)


def _image(cell: Workcell, name: str, format: ImageFormat) -> Response:
    cameras = cell.cameras
    if name not in cameras:
        raise UnknownPlugin(f"this cell has no camera {name!r}. Known: {', '.join(cameras) or 'none'}")
    frame = cameras[name].read()
    body, media_type = (_raw(frame), "application/octet-stream") if format == "raw" else _encoded(frame, format)
    return Response(body, headers=_headers(frame), media_type=media_type)


def _raw(frame: Frame) -> bytes:
    depth = b"" if frame.depth_m is None else np.ascontiguousarray(frame.depth_m, dtype="<f4").tobytes()
    return np.ascontiguousarray(frame.rgb).tobytes() + depth


def _encoded(frame: Frame, extension: str) -> tuple[bytes, str]:
    from imageio.v3 import imwrite

    return imwrite("<bytes>", frame.rgb, extension=f".{extension}"), f"image/{extension}"


def _headers(frame: Frame) -> dict[str, str]:
    return {
        STAMP_HEADER: repr(float(frame.stamp_s)),
        SHAPE_HEADER: ",".join(str(size) for size in frame.rgb.shape),
        DEPTH_HEADER: "none" if frame.depth_m is None else "float32",
        "Cache-Control": "no-store",
    }
