"""When a RealSense frame was exposed, on a cell's clock that the test sets."""

from __future__ import annotations

import numpy as np
import pytest

import robotkit as rk
from robotkit.drivers.fake.world import ManualClock
from robotkit.drivers.realsense_sdk import rs
from robotkit.drivers.realsense_time import ExposureClock
from tests.support.realsense_fake import FakeFrame

WALL_S, BOOT_S = 1.8e9, 5000.0
"""The host's wall clock and the camera's own when the cell's clock shows 0."""
GLOBAL, SYSTEM, HARDWARE = (
    rs.timestamp_domain.global_time, rs.timestamp_domain.system_time, rs.timestamp_domain.hardware_clock,
)  # fmt: skip


class Bench:
    """A cell's clock, a wall clock that can be set, and frames that were exposed before they arrive."""

    def __init__(self) -> None:
        self.now_s, self.wall_set_s, self.boot_s = 0.0, 0.0, BOOT_S
        self.exposures = ExposureClock(
            rk.RealClock(now_s=lambda: self.now_s), wall_s=lambda: WALL_S + self.now_s + self.wall_set_s
        )

    def stamp_s(self, exposed_s: float, arrived_s: float, domain: object, readout_s: float | None = None) -> float:
        self.now_s = arrived_s
        stamped_s = exposed_s + (readout_s or 0.0)
        origin_s = self.boot_s if domain == HARDWARE else WALL_S
        frame = FakeFrame(np.zeros(0), origin_s + stamped_s, domain, readout_s)
        return self.exposures.stamp_s(frame)


@pytest.fixture
def bench():
    return Bench()


@pytest.mark.parametrize("domain", [GLOBAL, SYSTEM])
def test_a_stamp_of_the_hosts_clock_is_the_exposure(bench, domain):
    for arrived_s, latency_s in [(1.0, 0.03), (1.3, 0.3), (1.35, 0.0)]:
        assert bench.stamp_s(arrived_s - latency_s, arrived_s, domain) == pytest.approx(arrived_s - latency_s, abs=1e-5)


def test_of_the_cameras_own_clock_the_fastest_frame_tells_the_offset(bench):
    assert bench.stamp_s(0.98, 1.0, HARDWARE) == pytest.approx(1.0)
    assert bench.stamp_s(1.08, 1.2, HARDWARE) == pytest.approx(1.1)
    assert bench.stamp_s(1.21, 1.22, HARDWARE) == pytest.approx(1.22)
    assert bench.stamp_s(1.25, 1.4, HARDWARE) == pytest.approx(1.26)


def test_a_clock_that_drifts_is_followed(bench):
    for number in range(2000):
        exposed_s = 0.1 * number
        stamp_s = bench.stamp_s(exposed_s * (1.0 - 50e-6), exposed_s + 0.02, HARDWARE)
    assert stamp_s == pytest.approx(exposed_s + 0.02, abs=3e-4)


@pytest.mark.parametrize("domain", [GLOBAL, HARDWARE])
def test_the_middle_of_the_exposure_counts_where_the_metadata_tell_it(bench, domain):
    assert bench.stamp_s(0.975, 1.0, domain, readout_s=0.025) == pytest.approx(0.975, abs=1e-5)


@pytest.mark.parametrize("set_s", [3600.0, -3600.0])
def test_a_wall_clock_that_is_set_does_not_move_the_stamps(bench, set_s):
    bench.stamp_s(0.97, 1.0, GLOBAL)
    bench.wall_set_s = set_s
    assert bench.stamp_s(1.08, 1.1, GLOBAL) == pytest.approx(1.07, abs=1e-5)


@pytest.mark.parametrize("boot_s", [0.0, 2 * BOOT_S])
def test_a_camera_that_starts_again_has_a_new_offset(bench, boot_s):
    bench.stamp_s(0.98, 1.0, HARDWARE)
    bench.boot_s = boot_s
    bench.exposures.restart()
    assert bench.stamp_s(1.98, 2.0, HARDWARE) == pytest.approx(2.0)


@pytest.mark.parametrize("domain", [GLOBAL, SYSTEM, HARDWARE])
def test_a_stamp_is_never_later_than_the_arrival_and_never_goes_back(bench, domain):
    generator = np.random.default_rng(0)
    before_s = -1.0
    for arrived_s in np.cumsum(generator.exponential(0.03, 500)):
        exposed_s = arrived_s - generator.uniform(-0.5, 2.0)
        stamp_s = bench.stamp_s(exposed_s, arrived_s, domain, generator.uniform(0.0, 0.1))
        assert before_s <= stamp_s <= arrived_s
        before_s = stamp_s


def test_in_lock_step_a_frame_is_exposed_when_it_is_read():
    clock = ManualClock()
    clock.advance(3.0)
    assert ExposureClock(clock).stamp_s(FakeFrame(np.zeros(0), WALL_S)) == clock.now_s()


def test_what_librealsense_itself_hands_out_is_understood():
    """A frame of its software device, with the stamp and the metadata of a camera."""
    device = rs.software_device()
    sensor = device.add_sensor("RGB Camera")
    stream = rs.video_stream()
    stream.type, stream.index, stream.uid, stream.fmt, stream.bpp = rs.stream.color, 0, 1, rs.format.rgb8, 3
    stream.width, stream.height, stream.fps = 4, 2, 30
    profile = sensor.add_video_stream(stream)
    queue = rs.frame_queue(1)
    sensor.open(profile)
    sensor.start(queue)
    frame = rs.software_video_frame()
    frame.pixels, frame.stride, frame.bpp = np.zeros((2, 4, 3), np.uint8), 12, 3
    frame.timestamp, frame.domain, frame.frame_number = (WALL_S - 0.02) * 1e3, GLOBAL, 1
    frame.profile = profile.as_video_stream_profile()
    sensor.set_metadata(rs.frame_metadata_value.frame_timestamp, 1_010_000)
    sensor.set_metadata(rs.frame_metadata_value.sensor_timestamp, 1_000_000)
    sensor.on_video_frame(frame)
    exposures = ExposureClock(rk.RealClock(now_s=lambda: 7.0), wall_s=lambda: WALL_S)
    assert exposures.stamp_s(queue.wait_for_frame()) == pytest.approx(7.0 - 0.03, abs=1e-5)
    sensor.stop()
    sensor.close()
