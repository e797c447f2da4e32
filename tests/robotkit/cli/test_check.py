"""D2: `robotkit check` finds what keeps a cell from its first motion, and moves nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import robotkit as rk
from robotkit.cli import arm_checks, check, main, sensor_checks
from robotkit.cli.finding import Finding
from robotkit.drivers.fake import FakeCamera, FakeGripper, FakePoseTracker, FakeRobot, FakeRobotConfig
from robotkit.registry import grippers
from tests.serving import served
from tests.support.recording_arm import fail_with
from tests.support.robotiq_emulator import RobotiqEmulator

LIMITS = rk.SafetyLimits(
    workspace=rk.WorkspaceBox(position_min_m=(0.2, -0.4, 0.0), position_max_m=(0.8, 0.4, 0.6)),
    max_tcp_speed_m_s=0.5,
    max_tcp_rotation_speed_rad_s=2.0,
    watchdog_s=5.0,
    state_max_age_s=0.5,
    max_force_n=50.0,
)


class RecordedRobot(FakeRobot):
    """Says that it is real, and remembers every call that could move it."""

    def __init__(self, config: FakeRobotConfig, context: rk.CellContext) -> None:
        super().__init__(config, context)
        self.spec = self.spec.model_copy(update={"is_simulated": False})
        self.commands: list[str] = []

    def send(self, command: rk.RobotCommand) -> rk.RobotCommand:
        self.commands.append("send")
        return super().send(command)

    def move_to_joint_positions(self, positions_rad: np.ndarray) -> None:
        self.commands.append("move")

    def stop(self) -> None:
        self.commands.append("stop")
        super().stop()

    def recover(self) -> None:
        self.commands.append("recover")
        super().recover()


def device(kind: type, name: str, clock: rk.Clock, **options: object):
    return kind(kind.Config(**options), rk.CellContext(name=name, clock=clock))


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long a round trip takes is the machine's affair; its line has a test of its own."""
    monkeypatch.setattr(arm_checks, "_ROUND_TRIP_MAX_S", 10.0)


@pytest.fixture
def cell() -> rk.Workcell:
    """An arm in real time with gripper, camera and tracker, whose bodies a test may bend."""
    clock = rk.RealClock()
    return rk.Workcell(
        name="bench",
        clock=clock,
        robot=device(RecordedRobot, "robot", clock),
        gripper=device(FakeGripper, "gripper", clock),
        cameras={"front": device(FakeCamera, "front", clock)},
        trackers={"block": device(FakePoseTracker, "block", clock, pose_in_base=[0.5, 0, 0, 0, 0, 0, 1])},
        limits=LIMITS,
    )


def examine(monkeypatch: pytest.MonkeyPatch, cell: rk.Workcell) -> dict[str, Finding]:
    monkeypatch.setattr(check, "open_cell", lambda name, token: cell)
    return {finding.subject: finding for finding in check.Check("bench", watch_s=0.3).examine()}


def failures(findings: dict[str, Finding]) -> set[str]:
    assert all(finding.fix for finding in findings.values() if finding.status == "failed")
    return {subject for subject, finding in findings.items() if finding.status == "failed"}


def test_a_sound_cell_passes_and_nothing_was_commanded(monkeypatch, cell):
    with cell:
        before = cell.robot.get_state().joint_positions_rad.copy()
    findings = examine(monkeypatch, cell)
    assert not failures(findings)
    assert {"mode", "payload", "control cycles", "round trip", "state stamps", "clock"} <= set(findings)
    assert {"gripper", "camera front", "tracker block", "workspace", "tool speed", "watchdog"} <= set(findings)
    assert cell.robot.commands == ["recover"], "control starts where the arm stands"
    assert not any(device.is_connected for device in cell.devices())
    with cell:
        np.testing.assert_array_equal(cell.robot.get_state().joint_positions_rad, before)


@pytest.mark.parametrize(
    ("missing", "subject"),
    [
        ("workspace", "workspace"),
        ("max_tcp_speed_m_s", "tool speed"),
        ("max_tcp_rotation_speed_rad_s", "tool rotation"),
        ("watchdog_s", "watchdog"),
        ("state_max_age_s", "state age"),
    ],
)
def test_a_real_arm_without_a_limit_fails(monkeypatch, cell, missing, subject):
    cell.limits = LIMITS.model_copy(update={missing: None})
    findings = examine(monkeypatch, cell)
    assert failures(findings) == {subject}
    assert f"limits.{missing}" in findings[subject].fix


def test_a_gripper_that_connecting_would_activate_moves_no_finger(monkeypatch, cell):
    with RobotiqEmulator() as emulator:
        cell.gripper = grippers.make("robotiq", **emulator.options)
        findings = examine(monkeypatch, cell)
        assert emulator.model.writes == 0
    assert failures(findings) == {"gripper"}
    assert "not activated" in findings["gripper"].found
    assert "fingers" in findings["gripper"].fix


def test_a_real_arm_that_is_said_to_be_unlimited_passes_with_a_word(monkeypatch, cell):
    cell.limits = rk.SafetyLimits(unlimited=True)
    findings = examine(monkeypatch, cell)
    assert not failures(findings)
    assert "unlimited = true" in findings["workspace"].found


def test_a_stop_is_shown_with_its_author_and_cause(monkeypatch, cell):
    stop = rk.StopRecord(cause="the cable was loose", author="Ada", since_s=0.0)
    measured = cell.robot.get_state
    cell.robot.get_state = lambda: measured().model_copy(update={"mode": "stopped", "stop": stop})
    findings = examine(monkeypatch, cell)
    assert failures(findings) == {"mode"}
    assert findings["mode"].found == "stopped by Ada: the cable was loose"


def test_a_wrong_load_fails_and_the_remedy_says_by_how_much(monkeypatch, cell):
    force_in_base = np.array([0.0, 0.0, -0.5 * 9.81])
    cell.robot.inject_wrench(np.array([*(force_in_base * (1, -1, -1)), 0, 0, 0]))  # the tool points down
    findings = examine(monkeypatch, cell)
    assert failures(findings) == {"payload"}
    assert "4.90 N" in findings["payload"].found or "4.91 N" in findings["payload"].found
    assert "0.50 kg heavier" in findings["payload"].fix


def test_control_of_an_arm_with_a_wrong_load_is_not_started(monkeypatch, cell):
    """Under impedance control it would sink by what the load is heavier than the arm was told."""
    cell.robot.inject_wrench(np.array([0.0, 0.0, 30.0, 0.0, 0.0, 0.0]))
    modes, measure = set(), cell.robot.get_state

    def recorded() -> rk.RobotState:
        state = measure()
        modes.add(state.mode)
        return state

    monkeypatch.setattr(cell.robot, "get_state", recorded)
    findings = examine(monkeypatch, cell)
    assert failures(findings) == {"payload"}
    assert findings["control cycles"].status == findings["mode"].status == "not applicable"
    assert modes == {"stopped"}
    assert cell.robot.commands == []


def test_a_stop_of_somebody_else_while_the_arm_is_read_stays(monkeypatch, cell):
    """The one of the command itself came first, and a stop keeps its first author."""
    robot, measure, stops = cell.robot, cell.robot._measure, iter([True])

    def stopped_once():
        if next(stops, False):
            robot.stop_for("a person pressed STOP", "operator")
        return measure()

    connect = robot.connect
    monkeypatch.setattr(robot, "connect", lambda: (connect(), monkeypatch.setattr(robot, "_measure", stopped_once)))
    findings = examine(monkeypatch, cell)
    assert findings["mode"].status == "failed"
    assert findings["control cycles"].found == "control was not started, because somebody stopped the arm meanwhile"
    assert robot.machine.stop is not None
    assert robot.commands == ["stop"] * robot.commands.count("stop")


@pytest.mark.parametrize(
    ("part", "method", "subject"),
    [
        ("robot", "connect", "connection of robot"), ("robot", "_measure", "arm"), ("robot", "disconnect", "robot"),
        ("gripper", "get_state", "gripper"), ("gripper", "connect", "connection of gripper"),
        ("front", "read", "camera front"), ("front", "disconnect", "front"), ("block", "get_pose", "tracker block"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("error", [OSError("no such device"), ValueError("a packet"), KeyError("x")])
def test_whatever_a_plugin_raises_is_a_line_of_the_table(monkeypatch, cell, part, method, subject, error):
    devices = {device.context.name: device for device in cell.devices()}
    monkeypatch.setattr(check, "open_cell", lambda name, token: cell)
    monkeypatch.setattr(devices[part], method, fail_with(error))
    findings = check.Check(cell="bench", watch_s=0.02).examine()
    lines = [finding for finding in findings if (finding.subject, finding.status) == (subject, "failed")]
    assert any(type(error).__name__ in line.found for line in lines)
    monkeypatch.undo()
    for device in cell.devices():
        device.disconnect()


@pytest.mark.parametrize(
    ("speed_rad_s", "noise_rad_s", "status"),
    [(0.0, 0.05, "passed"), (0.004, 0.0, "passed"), (0.006, 0.0, "failed"), (-0.5, 0.0, "failed")],
)
@pytest.mark.parametrize("period_s", [0.004, 0.125])
def test_whether_an_arm_moves_is_told_by_its_places_and_not_by_the_noise_of_its_speeds(
    cell, speed_rad_s, noise_rad_s, status, period_s
):
    noise = np.random.default_rng(0)
    with cell:
        standing = cell.robot.get_state()
    states = [
        standing.model_copy(
            update={
                "stamp_s": float(time_s),
                "joint_positions_rad": standing.joint_positions_rad + speed_rad_s * time_s * np.eye(7)[3],
                "tcp_twist_in_base": noise.normal(0.0, noise_rad_s, 6),
                "joint_velocities_rad_s": noise.normal(0.0, noise_rad_s, 7),
            }
        )
        for time_s in np.arange(0.0, 1.0, period_s)
    ]
    found = arm_checks._payload(cell, states, 5.0, 1.0)
    assert found.status == status
    assert ("the arm moves" in found.found) == (status == "failed")


def test_a_wrench_that_swings_fails(monkeypatch, cell):
    flips = iter(range(1_000_000))
    measured = cell.robot.get_state

    def shaken() -> rk.RobotState:
        force = 5.0 if next(flips) % 2 else -5.0
        return measured().model_copy(update={"wrench_in_tcp": np.array([force, 0, 0, 0, 0, 0])})

    cell.robot.get_state = shaken
    findings = examine(monkeypatch, cell)
    assert failures(findings) == {"payload"}
    assert "touches or shakes" in findings["payload"].fix


@pytest.mark.parametrize(
    ("field", "value", "subject"),
    [
        ("control_success_rate", 0.7, "control cycles"),
        ("mode", "fault", "mode"),
        ("mode", "stopped", "mode"),
        ("stamp_s", 1e9, "clock"),
    ],
)
def test_a_state_that_is_wrong_fails_its_line(monkeypatch, cell, field, value, subject):
    measured = cell.robot.get_state
    cell.robot.get_state = lambda: measured().model_copy(update={field: value})
    assert subject in failures(examine(monkeypatch, cell))


def test_a_slow_round_trip_fails(monkeypatch, cell):
    monkeypatch.setattr(arm_checks, "_ROUND_TRIP_MAX_S", 0.0)
    assert "round trip" in failures(examine(monkeypatch, cell))


@pytest.mark.parametrize(("late_s", "fails"), [(0.0, False), (0.03, False), (0.06, True)])
def test_an_arm_whose_every_measurement_is_too_old_to_hold_it_fails(monkeypatch, cell, late_s, fails):
    measured = cell.robot.get_state

    def late() -> rk.RobotState:
        state = measured()
        return state.model_copy(update={"stamp_s": state.stamp_s - late_s})

    cell.robot.get_state = late
    findings = examine(monkeypatch, cell)
    assert failures(findings) == ({"state stamps"} if fails else set())
    assert ("allowed to hold the arm: 50 ms" in findings["state stamps"].found) == fails


@pytest.mark.parametrize(("age_s", "fails"), [(0.045, False), (0.055, True)])
@pytest.mark.parametrize("is_served", [False, True])
def test_the_way_from_a_server_makes_no_measurement_older_than_the_server_has_it(cell, age_s, fails, is_served):
    round_trip_s = 0.015
    with served(cell) as url, rk.make_workcell(url) if is_served else cell as examined:
        state = examined.robot.get_state()
        measured_after_s = 0.5 * round_trip_s if is_served else round_trip_s
        readings = [
            arm_checks._Reading(
                state.model_copy(update={"stamp_s": now_s + measured_after_s - age_s}), round_trip_s, now_s
            )
            for now_s in np.arange(1.0, 2.0, 0.02).tolist()
        ]
        assert (arm_checks._stamps(examined, readings).status == "failed") == fails


def test_an_arm_that_stops_measuring_fails(monkeypatch, cell):
    start = cell.robot._start
    cell.robot._start = lambda: (start(), cell.robot.inject_silence(True))
    assert failures(examine(monkeypatch, cell)) == {"state stamps"}


def test_a_camera_slower_than_its_spec_fails(monkeypatch, cell):
    slow = device(FakeCamera, "front", cell.clock, rate_hz=5.0)
    slow.config = slow.config.model_copy(update={"rate_hz": 30.0})
    cell.cameras = {"front": slow}
    findings = examine(monkeypatch, cell)
    assert failures(findings) == {"camera front"}
    assert "5.0 of 30 frames/s" in findings["camera front"].found


def test_a_camera_of_another_size_and_a_black_one_fail(monkeypatch, cell):
    camera = cell.cameras["front"]
    camera.spec = camera.spec.model_copy(update={"width_px": 64})
    assert "128x128, its spec says 64x128" in examine(monkeypatch, cell)["camera front"].found
    camera.spec = camera.spec.model_copy(update={"width_px": 128})
    camera.read = lambda: rk.Frame(stamp_s=cell.clock.now_s(), rgb=np.zeros((128, 128, 3), np.uint8))
    assert "single colour" in examine(monkeypatch, cell)["camera front"].found


def test_what_does_not_connect_fails_and_the_rest_is_still_examined(monkeypatch, cell):
    def refuse() -> None:
        raise rk.ConnectionFailed("camera 0 is not there; check its cable")

    cell.cameras["front"].connect = refuse
    findings = examine(monkeypatch, cell)
    assert failures(findings) == {"connection of front", "camera front"}
    assert findings["tracker block"].status == "passed"


def test_a_tag_out_of_sight_and_a_silent_gripper_fail(monkeypatch, cell):
    def stale() -> rk.TrackedPose:
        raise rk.StaleState("tag 3 of tag36h11 has to be in sight")

    cell.trackers["block"].get_pose = stale
    cell.gripper.get_state = stale
    findings = examine(monkeypatch, cell)
    assert failures(findings) == {"tracker block", "gripper"}
    assert "in sight" in findings["tracker block"].found


def test_a_clock_that_runs_slow_fails(monkeypatch, cell):
    clock = rk.RealClock()
    now_s = clock.now_s
    clock.now_s = lambda: 0.5 * now_s()
    cell.clock = clock
    assert "clock" in failures(examine(monkeypatch, cell))


def test_exit_status_and_json(monkeypatch, cell, capsys):
    assert main(["check", "fake", "--json"]) == 0
    lines = json.loads(capsys.readouterr().out)
    assert {line["status"] for line in lines} == {"passed", "not applicable"}
    assert set(lines[0]) == {"subject", "status", "found", "fix"}
    monkeypatch.setattr(check, "open_cell", lambda name, token: cell)
    cell.limits = rk.SafetyLimits()
    assert main(["check", "fake", "--watch-s", "0.1"]) == 1
    assert "limits.watchdog_s" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["no-such-cell", "no/such/file.toml"])
def test_a_cell_that_is_not_there_is_a_wrong_request(name, capsys):
    assert main(["check", name]) == 2
    assert name in capsys.readouterr().err


def test_a_file_that_does_not_validate_fails_with_its_line(tmp_path: Path, capsys):
    path = tmp_path / "lab.toml"
    path.write_text('name = "lab"\n[robot]\ntype = "fake"\ndof = 99\n')
    assert main(["check", str(path), "--json"]) == 1
    (line,) = json.loads(capsys.readouterr().out)
    assert (line["subject"], line["status"]) == ("configuration", "failed")
    assert "dof" in line["found"]


def test_a_remote_cell_is_examined_like_any_other(monkeypatch):
    with served(rk.make_workcell("fake", clock="real")) as url:
        findings = {finding.subject: finding for finding in check.Check(url, watch_s=0.3).examine()}
    assert {"mode", "round trip", "camera front", "camera wrist", "tracker block", "gripper"} <= set(findings)
    assert findings["round trip"].status in ("passed", "failed")
    assert findings["mode"].status == findings["camera front"].status == findings["gripper"].status == "passed"


def test_a_server_that_is_not_there_fails_in_a_sentence(capsys):
    assert main(["check", "http://127.0.0.1:9", "--json"]) == 1
    (line,) = json.loads(capsys.readouterr().out)
    assert line["subject"] == "connection"


def test_a_simulated_cell_says_whether_it_renders(monkeypatch):
    seen = Finding("GL", "warning", "MuJoCo cannot render here", "apt install libegl1")
    monkeypatch.setattr(sensor_checks.software_checks, "graphics", lambda: seen)
    findings = {finding.subject: finding for finding in check.Check("mujoco-pick-cube", watch_s=0.1).examine()}
    assert (findings["GL"].status, findings["GL"].fix) == ("failed", "apt install libegl1")
    assert findings["mode"].status == "passed"
