"""A tracker behind a camera that moves with the tool: the arm's pose at the exposure counts, not the newest one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest

import robotkit as rk
from robotkit import spatial
from robotkit.drivers.fake import FakeRobot
from robotkit.drivers.fake.world import ManualClock
from robotkit.drivers.pose_history import PoseHistory
from robotkit.registry import trackers
from tests.support import tag_picture
from tests.support.calibration_rig import pose
from tests.support.tag_picture import StillCamera, take
from tests.support.waiting import is_fine, wait_for_error, wait_until

CAMERA_IN_TCP = pose((0.04, -0.02, 0.03), 0.05, -0.1, 0.4)
TAG_IN_BASE = spatial.compose(
    spatial.compose(pose((0.5, 0.0, 0.4), np.pi, 0.0, 0.0), CAMERA_IN_TCP),
    tag_picture.tag_pose_in_camera(0.0, 0.0, 0.4, 0.35, 0.2),
)
OPTIONS = {
    "camera": "wrist", "camera_mount": "tcp", "camera_pose_in_tcp": CAMERA_IN_TCP, "tag_id": tag_picture.TAG_ID,
    "size_m": tag_picture.SIZE_M,
}  # fmt: skip


def tcp_pose(time_s: float) -> np.ndarray:
    """A tool that swings sideways at up to 0.25 m/s and turns with it."""
    swing = np.sin(5.0 * time_s)
    return spatial.compose(pose((0.5 + 0.05 * swing, 0.0, 0.4), np.pi, 0.0, 0.0), pose((0, 0, 0), 0, 0, 0.2 * swing))


class SwingingRobot(FakeRobot):
    """Its tool is where the clock says."""

    def get_state(self) -> rk.RobotState:
        state = super().get_state()
        return state.model_copy(update={"tcp_pose_in_base": tcp_pose(state.stamp_s)})


class WristCamera(StillCamera):
    """Shows the tag as the wrist saw it `delay_s` ago, and stamps the picture with that moment."""

    delay_s = 0.06

    def read(self) -> rk.Frame:
        self.require_connected()
        stamp_s = round((self.context.clock.now_s() - self.delay_s) * 30.0) / 30.0
        camera = spatial.compose(tcp_pose(stamp_s), CAMERA_IN_TCP)
        return rk.Frame(stamp_s=stamp_s, rgb=take(spatial.relative_pose(camera, TAG_IN_BASE)))


class StartedAtZero(rk.RealClock):
    """Real time whose origin is now."""

    def __init__(self) -> None:
        super().__init__()
        self._start_s = super().now_s()

    def now_s(self) -> float:
        return super().now_s() - self._start_s


def rig(clock: rk.Clock, **options: object) -> tuple[SwingingRobot, WristCamera, rk.BasePoseTracker]:
    robot = SwingingRobot(SwingingRobot.Config(), rk.CellContext(name="robot", clock=clock))
    camera = WristCamera(clock)
    context = rk.CellContext(name="block", clock=clock, cameras={"wrist": camera}, robot=robot)
    return robot, camera, trackers.make("apriltag", context, **(OPTIONS | options))


def error_m(found: rk.TrackedPose) -> float:
    return spatial.distance_between(found.pose_in_base, TAG_IN_BASE)


def test_a_still_tag_stays_where_it_is_while_the_hand_swings():
    clock = ManualClock()
    robot, camera, tracker = rig(clock)
    errors_m, naive_m = [], []
    with robot, camera, tracker:
        for _ in range(60):
            clock.advance(0.02)
            if is_fine(tracker.get_pose, rk.StaleState):
                seen = tracker.get_pose()
                errors_m.append(error_m(seen))
                at_exposure, now = tcp_pose(seen.stamp_s), tcp_pose(clock.now_s())
                naive_m.append(spatial.distance_between(at_exposure, now))
    assert len(errors_m) > 40
    assert max(errors_m) < 0.005
    assert np.median(errors_m) < 0.002
    assert max(naive_m) > 0.01, "with the newest pose it would be off by this"


def test_in_real_time_states_are_read_in_a_thread_of_their_own():
    robot, camera, tracker = rig(StartedAtZero())
    with robot, camera, tracker:
        seen: list[rk.TrackedPose] = []

        def has_new_pose() -> bool:
            if is_fine(tracker.get_pose, rk.StaleState):
                pose_now = tracker.get_pose()
                if not seen or pose_now.stamp_s > seen[-1].stamp_s:
                    seen.append(pose_now)
            return len(seen) >= 8

        wait_until(has_new_pose, 30.0)
    assert max(error_m(found) for found in seen) < 0.006


def test_a_moment_that_the_states_do_not_cover_is_refused():
    clock = ManualClock()
    robot, camera, tracker = rig(clock, max_age_s=0.3)
    with robot, camera, tracker:
        clock.advance(1.0)
        with pytest.raises(rk.StaleState, match=r"the arm's pose at 0\.933 s is not known"):
            tracker.get_pose()


def test_an_arm_that_stops_measuring_makes_the_pose_stale_and_is_named():
    robot, camera, tracker = rig(StartedAtZero(), max_age_s=0.3)
    with robot, camera, tracker:
        wait_until(lambda: is_fine(tracker.get_pose, rk.StaleState), 30.0)
        robot.inject_silence(True)
        error = wait_for_error(tracker.get_pose, rk.StaleState, 10.0)
        assert "the arm" in str(error)
        robot.inject_silence(False)
        wait_until(lambda: is_fine(tracker.get_pose, rk.StaleState), 30.0)


def test_a_cell_file_gives_the_tracker_its_arm(tmp_path):
    numbers = ", ".join(f"{value:.6f}" for value in CAMERA_IN_TCP)
    (tmp_path / "lab.toml").write_text(f"""
        name = "lab"
        [robot]
        type = "fake"
        [cameras.wrist]
        type = "fake"
        [trackers.block]
        type = "apriltag"
        camera = "wrist"
        camera_mount = "tcp"
        camera_pose_in_tcp = [{numbers}]
        size_m = 0.05
    """)
    cell = rk.make_workcell(tmp_path / "lab.toml")
    assert isinstance(cell.trackers["block"].context.robot, FakeRobot), "the arm's body, not its safety layer"
    with cell, pytest.raises(rk.StaleState, match="in sight"):
        cell.trackers["block"].get_pose()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"camera_pose_in_tcp": None}, "needs camera_pose_in_tcp"),
        ({"camera_mount": "base"}, "needs camera_pose_in_base"),
        ({"camera_pose_in_base": CAMERA_IN_TCP}, "remove the other pose"),
        ({"camera_mount": "ceiling"}, "'base' or 'tcp'"),
    ],
)
def test_a_mount_takes_its_own_pose_and_no_other(options, words):
    with pytest.raises(rk.InvalidConfiguration, match=words):
        rig(ManualClock(), **options)


def test_a_tracker_without_an_arm_is_refused():
    context = rk.CellContext(name="block", cameras={"wrist": StillCamera(ManualClock())})
    with pytest.raises(rk.InvalidConfiguration, match="needs the arm"):
        trackers.make("apriltag", context, **OPTIONS)


def test_a_history_interpolates_and_forgets():
    clock = ManualClock()
    robot = SwingingRobot(SwingingRobot.Config(), rk.CellContext(clock=clock))
    history = PoseHistory(robot, span_s=0.5)
    with robot:
        for _ in range(100):
            history.poll()
            clock.advance(0.01)
    assert spatial.distance_between(history.tcp_pose_at(0.7549), tcp_pose(0.7549)) < 1e-4
    assert history.reaches(0.99)
    assert not history.reaches(1.0)
    for outside_s in (0.2, 1.2):
        with pytest.raises(rk.StaleState, match="cover"):
            history.tcp_pose_at(outside_s)
    history.close()
    with pytest.raises(rk.StaleState, match="cover nothing"):
        history.tcp_pose_at(0.9)


def test_a_gap_in_the_history_is_not_bridged():
    clock = ManualClock()
    robot = SwingingRobot(SwingingRobot.Config(), rk.CellContext(clock=clock))
    history = PoseHistory(robot, span_s=5.0)
    with robot:
        history.poll()
        clock.advance(0.3)
        history.poll()
    with pytest.raises(rk.StaleState, match="gaps"):
        history.tcp_pose_at(0.15)
    assert spatial.distance_between(history.tcp_pose_at(0.3), tcp_pose(0.3)) < 1e-9


def history_of(*stamps_s: float, span_s: float = 5.0) -> PoseHistory:
    """Of an arm whose tool is at x = its stamp, in metres."""
    states = iter(SimpleNamespace(stamp_s=s, tcp_pose_in_base=pose((s, 0.0, 0.0))) for s in stamps_s)
    built = PoseHistory(SimpleNamespace(get_state=lambda: next(states)), span_s)
    for _ in stamps_s:
        built.poll()
    return built


@pytest.mark.parametrize(("asked_s", "found_m"), [
    (1.0, 1.0), (1.025, 1.025), (1.075, 1.075), (1.1, 1.1), (1.2, 1.2), (1.0 - 5e-7, 1.0), (1.2 + 5e-7, 1.2),
    (0.99, None), (1.21, None), (1.0 - 2e-6, None), (1.2 + 2e-6, None),
])  # fmt: skip
def test_a_pose_between_two_states_lies_between_theirs(asked_s, found_m):
    history = history_of(1.0, 1.05, 1.1, 1.2)
    if found_m is None:
        with pytest.raises(rk.StaleState, match=r"cover 1\.000 s to 1\.200 s, with gaps of at most 0\.1 s"):
            history.tcp_pose_at(asked_s)
    else:
        assert history.tcp_pose_at(asked_s)[0] == pytest.approx(found_m)


@pytest.mark.parametrize(("gap_s", "is_bridged"), [(0.1, True), (0.1005, False)])
def test_a_gap_of_a_tenth_of_a_second_is_bridged_and_no_longer_one(gap_s, is_bridged):
    history = history_of(3.0, 3.0 + gap_s)
    if is_bridged:
        assert history.tcp_pose_at(3.05)[0] == pytest.approx(3.05)
    else:
        with pytest.raises(rk.StaleState, match="gaps"):
            history.tcp_pose_at(3.05)


def test_states_of_the_past_change_nothing_and_a_span_is_kept():
    history = history_of(1.0, 1.0625, 1.125, 1.0625, 1.0, span_s=0.125)
    assert history.tcp_pose_at(1.0)[0] == 1.0
    assert history.tcp_pose_at(1.0625)[0] == 1.0625
    assert (history.reaches(1.125), history.reaches(1.125 + 2e-6)) == (True, False)
    longer = history_of(1.0, 1.05, 1.1, 1.15, span_s=0.11)
    with pytest.raises(rk.StaleState, match=r"cover 1\.050 s to 1\.150 s"):
        longer.tcp_pose_at(1.02)


def test_of_a_state_that_comes_twice_the_second_counts_and_the_others_stay():
    history, moved = history_of(1.0, 1.05), pose((9.0, 0.0, 0.0))
    history._robot = SimpleNamespace(get_state=lambda: SimpleNamespace(stamp_s=1.05, tcp_pose_in_base=moved))
    assert history.poll() is None
    assert (history.tcp_pose_at(1.0)[0], history.tcp_pose_at(1.05)[0]) == (1.0, 9.0)


def test_a_history_is_filled_and_asked_under_its_lock():
    """One thread fills it, another one asks."""

    class Guarded(deque):
        def __getattribute__(self, name: str) -> object:
            assert history._lock.locked()
            return super().__getattribute__(name)

        def __iter__(self) -> Iterator[object]:
            assert history._lock.locked()
            return super().__iter__()

        def __getitem__(self, index: int) -> object:
            assert history._lock.locked()
            return super().__getitem__(index)

    history = history_of(1.0, 1.05)
    history._poses = Guarded(history._poses)
    state = SimpleNamespace(stamp_s=1.1, tcp_pose_in_base=pose((1.1, 0.0, 0.0)))
    history._robot = SimpleNamespace(get_state=lambda: state)
    history.poll()
    history.poll()
    assert history.reaches(1.1)
    assert history.tcp_pose_at(1.075)[0] == pytest.approx(1.075)
    history.close()


def test_an_empty_history_reaches_nothing_and_forgets_when_it_is_closed():
    assert not history_of().reaches(0.0)
    history = history_of(1.0, 1.05)
    history.close()
    assert not history.reaches(1.0)


def test_a_world_that_was_reset_replaces_the_pose_of_the_same_moment():
    clock = ManualClock()
    robot = SwingingRobot(SwingingRobot.Config(), rk.CellContext(clock=clock))
    history = PoseHistory(robot, span_s=1.0)
    with robot:
        history.poll()
        moved = pose((0.1, 0.2, 0.3))
        measured = robot.get_state
        robot.get_state = lambda: measured().model_copy(update={"tcp_pose_in_base": moved})
        assert history.poll() is None
    np.testing.assert_array_equal(history.tcp_pose_at(clock.now_s()), moved)
