"""A control box that falls silent, as when its cable is pulled: noticed within a bound, and nothing waits for it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
import traceback
from collections.abc import Iterator
from types import SimpleNamespace

import franky
import numpy as np
import pytest

import robotkit as rk
from robotkit.drivers.franka import link as links
from robotkit.drivers.franka import opening
from robotkit.drivers.franka.config import FrankaRobotConfig
from robotkit.drivers.franka.silence import PacketWatch
from robotkit.safety import make_safe
from tests.support.franka_bench import Bench
from tests.support.franky_sim import FrankaSimulator
from tests.support.franky_sim.cells import robot_options
from tests.support.franky_sim.client import free_host
from tests.support.waiting import is_fine, wait_until

_MODES = ("holding", "tracking", "travelling")


def seconds_until_silent(look_every_s: float, is_new: bool = False) -> float:
    """When a watch that is asked at a rate calls a box silent, whose last packet came with the first look."""
    here_s = [0.0]
    watch = PacketWatch(lambda: here_s[0])
    while not watch.is_silent(lambda: here_s[0] if is_new else 1.0):
        here_s[0] += look_every_s
        if here_s[0] > 100.0:
            return float("inf")
    return here_s[0]


@pytest.mark.parametrize("look_every_s", [1e-3, 0.01, 0.049, 0.05, 0.2, 0.7, 1.1, 5.0])
def test_a_silent_box_is_noticed_in_a_second_and_two_looks(look_every_s):
    pace_s = 0.05 + look_every_s
    assert 1.0 < seconds_until_silent(look_every_s) <= 1.0 + 3 * pace_s
    assert seconds_until_silent(look_every_s, is_new=True) == float("inf")


def test_a_process_that_was_suspended_takes_no_box_for_silent():
    here_s, packet_s = [0.0], [0.0]
    watch = PacketWatch(lambda: here_s[0])

    def is_silent(after_s: float, packets_s: float) -> bool:
        here_s[0] += after_s
        packet_s[0] += packets_s
        return watch.is_silent(lambda: packet_s[0])

    assert not any(is_silent(0.1, 0.1) for _ in range(20))
    assert not is_silent(60.0, 0.0), "what came meanwhile is not yet read"
    assert not is_silent(0.01, 0.0)
    assert not is_silent(0.05, 60.0)
    assert not is_silent(60.0, 0.0), "suspended once more: the look before this one has seen a new packet"
    assert not is_silent(0.05, 60.0)


def test_a_box_that_was_silent_stays_so_until_a_motion_begins():
    """A packet that comes late is no sign that the motion goes on."""
    here_s, packet_s = 0.0, 1.0
    watch = PacketWatch(lambda: here_s)
    for looks, packet_s in ((30, 1.0), (3, 2.0)):
        for _ in range(looks):
            here_s += 0.1
            was_silent = watch.is_silent(lambda: packet_s)  # noqa: B023
        assert was_silent


def test_a_watch_begins_anew_with_each_motion():
    here_s = 0.0
    watch = PacketWatch(lambda: here_s)
    for _ in range(30):
        here_s += 0.1
        watch.is_silent(lambda: 1.0)
    assert watch.is_silent(lambda: 1.0)
    watch.begin()
    assert not watch.is_silent(lambda: 1.0)


@pytest.fixture
def here_s(monkeypatch) -> list[float]:
    """This machine's time as the link sees it: each reading of it takes a hundredth of a second."""
    now_s = [0.0]

    def monotonic() -> float:
        now_s[0] += 0.01
        return now_s[0]

    monkeypatch.setattr(links, "time", SimpleNamespace(monotonic=monotonic, sleep=lambda seconds: None))
    monkeypatch.setattr(opening, "_LETTING_GO_S", 0.02)
    return now_s


@pytest.fixture
def bench(here_s, monkeypatch) -> Iterator[Bench]:
    built = Bench(monkeypatch)
    built.robot.connect()
    yield built
    built.arm.answers.set()


def command(bench: Bench) -> rk.PoseCommand:
    return rk.PoseCommand(tcp_pose_in_base=bench.robot.get_state().tcp_pose_in_base)


def bring_into(mode: str, bench: Bench) -> list[Exception]:
    """Bring the arm into `mode`; returns what will have ended its joint motion."""
    ended: list[Exception] = []
    if mode == "tracking":
        bench.robot.send(command(bench))
    if mode == "travelling":
        bench.arm.travels_slowly = True
        goal_rad = bench.robot.get_state().joint_positions_rad + 0.1

        def travel() -> None:
            try:
                bench.robot.move_to_joint_positions(goal_rad)
            except rk.RobotkitError as error:
                ended.append(error)

        bench.robot.hold()
        threading.Thread(target=travel, daemon=True).start()
        wait_until(lambda: isinstance(bench.arm.motions[-1], links.franky.JointMotion))
    assert bench.robot.machine.mode == mode
    return ended


@pytest.mark.parametrize("mode", _MODES)
@pytest.mark.parametrize("asks", ["get_state", "send"])
def test_b6_a_box_that_falls_silent_is_a_fault_in_each_mode(bench, here_s, mode, asks):
    last = command(bench)
    ended = bring_into(mode, bench)
    calls = {"get_state": bench.robot.get_state, "send": lambda: bench.robot.send(last)}
    bench.arm.fall_silent()
    began_s = here_s[0]
    while bench.robot.machine.fault is None:
        is_fine(calls[asks], rk.RobotkitError)
    assert 1.0 < here_s[0] - began_s < 1.5
    assert bench.robot.get_state().faults == ("connection_failed",)
    with pytest.raises(rk.ConnectionFailed, match=r"no packet came for 1 s.*call recover\(\)"):
        bench.robot.send(last)
    if mode == "travelling":
        wait_until(lambda: len(ended) == 1)
        assert isinstance(ended[0], rk.ConnectionFailed)


@pytest.mark.parametrize("mode", _MODES)
def test_b6_nothing_waits_for_a_box_that_is_silent(bench, mode):
    bring_into(mode, bench)
    bench.arm.fall_silent()
    start_s = time.monotonic()
    bench.robot.stop()
    bench.robot.get_state()
    bench.robot.disconnect()
    assert time.monotonic() - start_s < 1.0
    assert not bench.arm.answers.is_set()
    assert bench.arm.told()[-1] == "stop", "the old connection waits for the answer to its last word"


@pytest.mark.parametrize("mode", _MODES)
def test_b6_a_recovery_from_silence_opens_another_connection_and_holds(bench, mode):
    bring_into(mode, bench)
    bench.arm.fall_silent()
    while bench.robot.get_state().mode != "fault":
        pass
    opened, old = bench.opened, bench.arm
    bench.arm = type(old)()
    bench.robot.recover()
    assert (bench.opened, bench.robot.machine.mode) == (opened + 1, "holding")
    np.testing.assert_allclose(bench.arm.began_at_m, [bench.robot.get_state().tcp_pose_in_base[:3]])
    old.answers.set()
    bench.robot.get_state()
    assert bench.robot.machine.mode == "holding"


def test_b6_a_cell_is_recovered_from_silence_where_control_begins_on_a_fresh_measurement(bench, monkeypatch):
    """As in every cell: the fault of before does not stand between the recovery and its measurement."""
    # The bench's pose and its joints are made up.
    monkeypatch.setattr("robotkit.safety.robot.require_true_kinematics", lambda spec, state: None)
    arm = make_safe(bench.robot, rk.SafetyLimits(unlimited=True, state_max_age_s=0.5), bench.robot.context.clock)
    bring_into("tracking", bench)
    bench.arm.fall_silent()
    while arm.get_state().mode != "fault":
        pass
    old, bench.arm = bench.arm, type(bench.arm)()
    arm.recover()
    assert arm.get_state().mode == "holding"
    arm.send(command(bench))
    old.answers.set()


@pytest.mark.parametrize("looks", ["hold", "monitor, hold", "hold, monitor", "monitor within the hold"])
def test_p3_a_pause_of_the_whole_process_ends_in_a_hold_whoever_looks_first(monkeypatch, looks):
    bench = Bench(monkeypatch)
    limits = rk.SafetyLimits(watchdog_s=0.2, state_max_age_s=0.2, unlimited=True)
    arm = make_safe(bench.robot, limits, bench.clock)
    monkeypatch.setattr("robotkit.safety.robot.require_true_kinematics", lambda *_: None)  # the bench has none
    arm.connect()
    arm.send(rk.PoseCommand(tcp_pose_in_base=arm.get_state().tcp_pose_in_base))
    bench.now_s += 0.3
    if looks == "monitor within the hold":
        read = bench.robot._await_packet
        monkeypatch.setattr(bench.robot, "_await_packet", lambda link: (read(link), arm.get_state()))
        looks = "hold"
    for look in looks.split(", "):
        arm.hold() if look == "hold" else arm.get_state()
        assert arm.machine.mode in ("tracking", "holding")
    assert arm.machine.mode == "holding"
    assert arm.machine.stop is None


def test_p3_a_hold_looks_for_a_packet_of_after_it_was_asked_for(monkeypatch):
    bench = Bench(monkeypatch)
    arm = bench.robot
    arm.connect()
    arm.send(rk.PoseCommand(tcp_pose_in_base=arm.get_state().tcp_pose_in_base))
    monkeypatch.setattr("robotkit.drivers.franka.robot._PACKET_S", 0.0)
    bench.arm.tick_s = 0.0
    with pytest.raises(rk.StaleState, match="no packet"):
        arm.hold()
    assert arm.machine.mode == "stopped"


def test_b6_a_fault_that_is_read_again_and_again_takes_no_memory(bench):
    bench.arm.fall_silent()
    bring_into("tracking", bench)
    while bench.robot.get_state().mode != "fault":
        pass

    def frames() -> int:
        return len(list(traceback.walk_tb(bench.robot.machine.fault.error.__traceback__)))

    before = frames()
    for _ in range(50):
        bench.robot.get_state()
    assert frames() == before


def test_b6_a_box_that_owes_an_answer_to_a_recovery_is_let_go_of(bench, monkeypatch):
    cut = []
    monkeypatch.setattr(links, "_ANSWER_S", 0.02)
    monkeypatch.setattr(links, "cut_connections", cut.append)
    bench.robot.get_state()
    bench.arm.break_down("joint_reflex")
    bench.arm.heals_after = None
    bench.arm.answers.clear()
    old = bench.arm
    with pytest.raises(rk.ConnectionFailed, match=r"recovering the Franka arm at box: no answer in 0\.02 s"):
        bench.robot.recover()
    assert cut == ["box"], "the question waits on, and the box serves one client"
    start_s = time.monotonic()
    bench.robot.stop()
    assert bench.robot.get_state().mode == "fault"
    bench.arm = type(old)()
    bench.robot.recover()
    assert bench.robot.machine.mode == "holding"
    assert time.monotonic() - start_s < 1.0
    old.answers.set()


@pytest.fixture
def simulator() -> Iterator[FrankaSimulator]:
    with FrankaSimulator(is_lockstep=True) as built:
        yield built


@pytest.mark.parametrize("mode", _MODES)
def test_b6_a_frozen_box_is_noticed_and_nothing_moves_in_the_recovery_from_it(simulator, mode):
    """libfranka alone would wait for ever for an answer of a box whose cable is pulled."""
    with rk.make_robot("franka", **robot_options(simulator.host)) as arm:
        start = arm.get_state()
        goal_rad = start.joint_positions_rad + 0.8 * np.eye(7)[0]
        travel = threading.Thread(
            target=is_fine, args=(lambda: arm.move_to_joint_positions(goal_rad), rk.RobotkitError)
        )
        if mode == "tracking":
            arm.send(rk.PoseCommand(tcp_pose_in_base=start.tcp_pose_in_base))
        if mode == "travelling":
            travel.start()
            wait_until(lambda: np.abs(arm.get_state().joint_velocities_rad_s).max() > 0.05)
        os.kill(simulator.process_id, signal.SIGSTOP)
        try:
            wait_until(lambda: arm.get_state().mode == "fault", 30.0)
            assert arm.get_state().faults == ("connection_failed",)
            start_s = time.monotonic()
            arm.stop()
            arm.get_state()
            assert time.monotonic() - start_s < 1.0
        finally:
            os.kill(simulator.process_id, signal.SIGCONT)
        wait_until(lambda: is_fine(arm.recover, rk.ConnectionFailed))
        start_rad = np.array(simulator.inject()["joint_positions_rad"])
        end_s = simulator.now_s() + 0.5
        while simulator.now_s() < end_s:
            assert arm.get_state().mode == "holding"
        np.testing.assert_allclose(simulator.inject()["joint_positions_rad"], start_rad, atol=1e-3)
        if mode == "travelling":
            travel.join()


@pytest.mark.parametrize("attempt", range(3))
def test_b6_a_start_that_is_stopped_before_the_box_shows_it_keeps_no_connection(simulator, attempt):
    """libfranka then waits without end for the start, also when the box sends packets again."""
    link = links.FrankaLink(FrankaRobotConfig(host=simulator.host, realtime="ignore"))
    home_rad = link.read().q
    os.kill(simulator.process_id, signal.SIGSTOP)
    try:
        link.start(franky.JointMotion(franky.JointState(home_rad + 0.1)))
        closing = threading.Thread(target=link.close)
        closing.start()
        closing.join(0.2)  # it has asked for the end of the motion, whose start the box has not seen
    finally:
        os.kill(simulator.process_id, signal.SIGCONT)
    closing.join()
    wait_until(lambda: not _is_letting_go(), 10.0)
    link.open()
    assert not link.is_in_control
    link.close()


def _is_letting_go() -> bool:
    return any(thread.name == "franka-letting-go" for thread in threading.enumerate())


def test_only_what_is_open_to_the_arm_is_cut():
    host = free_host()
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(socket.create_server((host, port))) for port in (1337, 1338)]
        clients = [stack.enter_context(socket.create_connection(each.getsockname())) for each in listeners]
        peers = [stack.enter_context(each.accept()[0]) for each in listeners]
        opening.cut_connections("127.0.0.9")
        opening.cut_connections("no-such-host.invalid")
        for peer in peers:
            peer.sendall(b"a")
        assert [client.recv(1) for client in clients] == [b"a", b"a"]
        opening.cut_connections(host)
        peers[1].sendall(b"b")
        assert [client.recv(1) for client in clients] == [b"", b"b"]
