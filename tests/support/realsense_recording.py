"""A RealSense recording made on the fly: librealsense's software device, recorded to a .db3 file."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from robotkit.drivers.realsense_sdk import rs

WIDTH, HEIGHT, RATE_HZ = 320, 240, 30
FOCAL_PX, CENTRE_X_PX, CENTRE_Y_PX = 300.0, 158.0, 121.0
SERIAL = "130322274175"
DEPTH_UNIT_M = 0.001


def picture(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Colour (uint8) and depth (uint16, millimetres) of frame `number`: the number is in both."""
    rgb = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    rgb[..., 0] = number % 256
    rgb[..., 1] = np.arange(WIDTH) % 256
    rgb[..., 2] = np.arange(HEIGHT)[:, None] % 256
    return rgb, np.full((HEIGHT, WIDTH), 500 + number, np.uint16)


def record(path: Path, frames: int = 30) -> Path:
    """Record `frames` pairs of pictures."""
    device, depth, color = _device()
    sync = rs.syncer()
    recorder = rs.recorder(str(path), device)
    sensors = recorder.query_sensors()
    for sensor in sensors:
        sensor.open(sensor.get_stream_profiles()[0])
        sensor.start(sync)
    for number in range(1, frames + 1):
        rgb, depth_mm = picture(number)
        depth[0].on_video_frame(_frame(depth[1], depth_mm, 2, number))
        color[0].on_video_frame(_frame(color[1], rgb, 3, number))
        time.sleep(0.005)
    time.sleep(0.3)
    for sensor in sensors:
        sensor.stop()
        sensor.close()
    del recorder, sensors, sensor
    return path


def _device() -> tuple:
    device = rs.software_device()
    device.register_info(rs.camera_info.name, "Software camera")
    device.register_info(rs.camera_info.serial_number, SERIAL)
    depth, color = device.add_sensor("Stereo Module"), device.add_sensor("RGB Camera")
    depth_profile = depth.add_video_stream(_stream(rs.stream.depth, 1, rs.format.z16, 2))
    color_profile = color.add_video_stream(_stream(rs.stream.color, 2, rs.format.rgb8, 3))
    depth.add_read_only_option(rs.option.depth_units, DEPTH_UNIT_M)
    # The default rotation is a matrix of zeros, with which alignment finds no depth at all.
    same = rs.extrinsics()
    same.rotation, same.translation = [1, 0, 0, 0, 1, 0, 0, 0, 1], [0, 0, 0]
    depth_profile.register_extrinsics_to(color_profile, same)
    color_profile.register_extrinsics_to(depth_profile, same)
    device.create_matcher(rs.matchers.default)
    return device, (depth, depth_profile), (color, color_profile)


def _stream(kind: object, uid: int, pixel_format: object, bytes_per_pixel: int) -> object:
    lens = rs.intrinsics()
    lens.width, lens.height, lens.ppx, lens.ppy = WIDTH, HEIGHT, CENTRE_X_PX, CENTRE_Y_PX
    lens.fx, lens.fy, lens.model, lens.coeffs = FOCAL_PX, FOCAL_PX, rs.distortion.brown_conrady, [0] * 5
    stream = rs.video_stream()
    stream.type, stream.index, stream.uid, stream.fmt, stream.bpp = kind, 0, uid, pixel_format, bytes_per_pixel
    stream.width, stream.height, stream.fps, stream.intrinsics = WIDTH, HEIGHT, RATE_HZ, lens
    return stream


def _frame(profile: object, pixels: np.ndarray, bytes_per_pixel: int, number: int) -> object:
    frame = rs.software_video_frame()
    frame.pixels, frame.stride, frame.bpp = np.ascontiguousarray(pixels), WIDTH * bytes_per_pixel, bytes_per_pixel
    frame.timestamp, frame.domain = number * 1000.0 / RATE_HZ, rs.timestamp_domain.system_time
    frame.frame_number, frame.profile = number, profile.as_video_stream_profile()
    if bytes_per_pixel == 2:
        frame.depth_units = DEPTH_UNIT_M
    return frame
