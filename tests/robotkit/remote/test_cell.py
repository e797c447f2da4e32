"""A remote cell is the served cell: same spec, same numbers, same pixels, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import robotkit as rk
from robotkit.remote import RemoteStream
from tests.serving import served


@pytest.fixture(scope="module")
def served_cell() -> rk.Workcell:
    return rk.make_workcell("fake", **{"cameras.front.has_depth": True})


@pytest.fixture(scope="module")
def url(served_cell: rk.Workcell) -> Iterator[str]:
    with served(served_cell) as running:
        yield running


@pytest.fixture
def remote(url: str) -> Iterator[rk.Workcell]:
    with rk.make_workcell("remote", url=url) as cell:
        cell.reset(seed=0)
        yield cell


def test_the_twin_has_what_the_cell_has(remote: rk.Workcell, served_cell: rk.Workcell) -> None:
    assert remote.spec() == served_cell.spec()
    assert remote.can_place_objects == served_cell.can_place_objects
    assert len(remote.devices()) == len(served_cell.devices()) - 1


def test_a_rollout_is_the_same_on_both_sides(remote: rk.Workcell) -> None:
    local = rk.make_workcell("fake")
    with local:
        states = local.reset(seed=3), remote.reset(seed=3)
        rng = np.random.default_rng(0)
        for _ in range(20):
            pose = states[0].robot.tcp_pose_in_base.copy()
            pose[:3] += rng.uniform(-0.01, 0.01, 3)
            command = rk.PoseCommand(tcp_pose_in_base=pose)
            gripper = rk.GripperCommand(position=float(rng.uniform()))
            start_s = states[0].robot.stamp_s, states[1].robot.stamp_s
            states = local.step(command, gripper, 0.02), remote.step(command, gripper, 0.02)
            assert np.array_equal(states[0].robot.joint_positions_rad, states[1].robot.joint_positions_rad)
            assert np.array_equal(states[0].robot.jacobian_in_base, states[1].robot.jacobian_in_base)
            assert states[0].accepted == states[1].accepted
            assert states[0].gripper.position == states[1].gripper.position
            assert states[1].robot.stamp_s - start_s[1] == pytest.approx(states[0].robot.stamp_s - start_s[0])


def test_colour_and_depth_arrive_exactly(remote: rk.Workcell, served_cell: rk.Workcell) -> None:
    for name, camera in served_cell.cameras.items():
        here, there = remote.cameras[name].read(), camera.read()
        assert np.array_equal(here.rgb, there.rgb)
        assert here.rgb.dtype == np.uint8
        assert here.stamp_s == there.stamp_s
        assert (here.depth_m is None) == (there.depth_m is None) == (name != "front")
        if here.depth_m is not None:
            assert np.array_equal(here.depth_m, there.depth_m)
            assert here.depth_m.dtype == np.float32


def test_lockstep_time_is_the_servers(remote: rk.Workcell, served_cell: rk.Workcell) -> None:
    before_s = remote.clock.now_s()
    remote.clock.advance(0.3)
    assert remote.clock.now_s() == served_cell.clock.now_s() == pytest.approx(before_s + 0.3)


def test_r13_in_real_time_the_clocks_agree() -> None:
    cell = rk.make_workcell("fake", clock="real")
    with served(cell) as url, rk.make_workcell("remote", url=url) as remote:
        assert not remote.clock.is_lockstep
        before_s = cell.clock.now_s()
        told_s = remote.clock.now_s()
        round_trip_s = cell.clock.now_s() - before_s
        # Half a round trip is what the client cannot know.
        assert before_s - round_trip_s <= told_s <= before_s + 2 * round_trip_s
        for _ in range(3):
            remote.clock.advance(0.05)
        # The first tick of a row may lie behind; from then on they are one period apart.
        assert remote.clock.now_s() - told_s > 0.1 - 0.05


def test_after_disconnect_nothing_is_sent_but_a_stop(url: str, served_cell: rk.Workcell) -> None:
    cell = rk.make_workcell("remote", url=url)
    for use in (cell.get_state, cell.step, cell.reset, cell.robot.hold, cell.gripper.open, cell.cameras["front"].read):
        with pytest.raises(rk.NotConnected):
            use()
    with cell:
        cell.get_state()
    with pytest.raises(rk.NotConnected):
        cell.get_state()
    cell.robot.stop()
    assert served_cell.robot.get_state().mode == "stopped"
    with cell:
        assert cell.get_state().robot.mode == "stopped"
        cell.robot.recover()


def test_a_server_that_goes_away_is_named() -> None:
    with served(rk.make_workcell("fake")) as url:
        cell = rk.make_workcell("remote", url=url)
        cell.connect()
    with pytest.raises(rk.ConnectionFailed, match=url):
        cell.get_state()
    cell.disconnect()


def test_a_step_and_a_reset_say_to_the_server_what_they_were_told(
    url: str, served_cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch
) -> None:
    pose = np.array([0.4, 0.1, 0.02, 0.0, 0.0, 0.0, 1.0])
    with rk.make_workcell("remote", url=url) as cell:
        state = cell.reset(seed=5, object_poses_in_base={"block": pose})
        assert state.poses["block"].pose_in_base.tolist() == pose.tolist()
        assert cell.robot.target_epoch == state.robot.target_epoch == served_cell.robot.target_epoch
        requests: list[rk.StepRequest] = []
        handle = served_cell.handle
        monkeypatch.setattr(served_cell, "handle", lambda request: (requests.append(request), handle(request))[1])
        command = rk.PoseCommand(tcp_pose_in_base=state.robot.tcp_pose_in_base)
        stepped = cell.step(command, rk.GripperCommand(position=0.5), 0.25, state.robot.target_epoch)
        assert cell.robot.newest_epoch == stepped.robot.target_epoch
        (request,) = requests
        assert (request.command, request.gripper) == (command, rk.GripperCommand(position=0.5))
        assert (request.period_s, request.target_epoch) == (0.25, state.robot.target_epoch)
        served_cell.robot.stop()
        served_cell.robot.recover()
        assert cell.get_state().robot.target_epoch == cell.robot.newest_epoch > stepped.robot.target_epoch


def test_a_step_of_no_length_lets_no_time_pass(remote: rk.Workcell) -> None:
    before_s = remote.clock.now_s()
    assert remote.step().robot.stamp_s == before_s == remote.clock.now_s()


@pytest.mark.parametrize("period_s", [10**400, "0.1", True, float("nan"), 10.1])
def test_a_step_whose_length_is_no_time_is_refused_before_it_is_sent(remote: rk.Workcell, period_s: object) -> None:
    before_s = remote.clock.now_s()
    with pytest.raises(rk.InvalidCommand, match="period_s must be a number of seconds from 0 to 10"):
        remote.step(period_s=period_s)  # type: ignore[arg-type]
    assert remote.clock.now_s() == before_s


def test_disconnecting_closes_the_connection_over_which_it_stepped(url: str) -> None:
    cell = rk.make_workcell("remote", url=url)
    with cell:
        cell.step()
        socket = cell._steps._socket
    assert socket.close_code is not None
    with cell:
        cell.step()


def test_a_stream_has_the_rate_and_the_patience_that_were_asked_for(remote: rk.Workcell) -> None:
    stream = remote.stream(rate_hz=7.5, max_age_s=0.5)
    assert (stream._rate_hz, stream._max_age_s, stream._session) == (7.5, 0.5, remote.session)
    one, other = remote.stream(), RemoteStream(remote.session)
    assert (one._rate_hz, one._max_age_s) == (other._rate_hz, other._max_age_s)
