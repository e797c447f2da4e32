"""At most one client commands; anyone reads and stops."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import quote, unquote

import httpx
import pytest

import robotkit as rk
from robotkit.remote.identity import program_name
from robotkit.safety import SafeRobot
from servers import ServerSettings, turns
from servers.access import Client
from servers.context import ServerContext
from servers.lease import ControlLease
from tests.serving import served


class _Time:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def time() -> _Time:
    return _Time()


@pytest.fixture
def lease(time: _Time) -> ControlLease:
    return ControlLease(1.0, time)


def _client(name: str) -> Client:
    return Client(f"key of {name}", name)


A, B = _client("a"), _client("b")


@contextmanager
def acquire_control(lease: ControlLease, client: Client) -> Iterator[None]:
    """A command that has begun."""
    with lease.control(client) as begin:
        begin(False)
        yield


def _command(lease: ControlLease, client: Client) -> None:
    with acquire_control(lease, client):
        pass


@pytest.mark.parametrize(
    ("failure", "renews"),
    [
        (rk.RobotStopped("a stop is latched"), False),
        (rk.DeviceFault("in a fault"), False),
        (rk.StepTooLarge("too far"), True),
        (rk.MotionFailed("a stop came"), True),
    ],
)
def test_b9_a_command_that_a_stopped_or_faulty_robot_refuses_renews_nothing(
    lease: ControlLease, time: _Time, failure: rk.RobotkitError, renews: bool
) -> None:
    _command(lease, A)
    for _ in range(2):
        time.now_s += 0.7
        with pytest.raises(type(failure)), acquire_control(lease, A):
            raise failure
    assert lease.holder == (A if renews else None)
    if not renews:
        _command(lease, B)
        assert lease.holder == B


def test_b9_a_client_that_repeats_what_a_stopped_arm_refuses_keeps_nobody_from_the_gripper(
    time: _Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rk.make_workcell("fake") as cell:
        context = ServerContext(cell, ServerSettings())
        monkeypatch.setattr(context.lease, "_now_s", time)
        context.step(A, rk.StepRequest())
        context.stop(B)
        while time.now_s < 2.0 * context.lease.timeout_s:
            time.now_s += 0.3 * context.lease.timeout_s
            with pytest.raises(rk.RobotStopped), context.control.acquire(A) as commanded:
                commanded.robot.reset()
        with context.control.acquire(B) as commanded:
            commanded.gripper.open()
        assert context.lease.holder == B


def test_the_first_to_command_has_control_and_keeps_it_by_commanding(lease: ControlLease, time: _Time) -> None:
    assert lease.holder is None
    for _ in range(5):
        _command(lease, A)
        time.now_s += 0.9
    with pytest.raises(rk.ControlHeld, match=r"another client \(a\)"):
        _command(lease, B)
    assert lease.holder == A


def test_silence_ends_control(lease: ControlLease, time: _Time) -> None:
    _command(lease, A)
    time.now_s += 1.0
    assert lease.holder is None
    _command(lease, B)
    with pytest.raises(rk.ControlHeld):
        _command(lease, A)


def test_a_command_that_lasts_keeps_control(lease: ControlLease, time: _Time) -> None:
    with acquire_control(lease, A):
        time.now_s += 60.0
        with pytest.raises(rk.ControlHeld):
            _command(lease, B)
        assert lease.holder == A
    time.now_s += 0.5
    assert lease.holder == A


def test_b9_control_that_is_given_up_during_a_command_ends_with_it(lease: ControlLease) -> None:
    with acquire_control(lease, A):
        assert lease.release(A)
        with pytest.raises(rk.ControlHeld):
            _command(lease, B)
    assert lease.holder is None
    _command(lease, B)
    assert lease.holder == B


def test_b9_a_command_after_giving_control_up_takes_it_again(lease: ControlLease) -> None:
    with acquire_control(lease, A):
        assert lease.release(A)
        _command(lease, A)
    assert lease.holder == A


def test_only_the_holder_can_release(lease: ControlLease) -> None:
    _command(lease, A)
    assert not lease.release(B)
    assert lease.release(A)
    _command(lease, B)
    assert lease.holder == B


def test_a_command_that_fails_gives_nothing_up(lease: ControlLease) -> None:
    with pytest.raises(rk.OutsideWorkspace), acquire_control(lease, A):
        raise rk.OutsideWorkspace("no")
    assert lease.holder == A


def test_b9_a_command_that_was_refused_before_it_began_takes_nothing_and_nobody_hears_of_it(time: _Time) -> None:
    changes: list[tuple[Client, Client | None]] = []
    lease = ControlLease(1.0, time, on_taken=lambda *change: changes.append(change))
    for _ in range(3):
        with pytest.raises(rk.Busy), lease.control(A):
            raise rk.Busy("its turn did not come")
        assert lease.holder is None
    _command(lease, B)
    assert lease.holder == B
    assert changes == [(B, None)]


def test_b9_a_command_that_was_refused_before_it_began_renews_nothing(lease: ControlLease, time: _Time) -> None:
    _command(lease, A)
    for _ in range(2):
        time.now_s += 0.6
        with pytest.raises(rk.Busy), lease.control(A):
            raise rk.Busy("its turn did not come")
    assert lease.holder is None
    _command(lease, B)


def test_b9_of_commands_that_wait_together_the_first_to_begin_takes_control(time: _Time) -> None:
    changes: list[tuple[Client, Client | None]] = []
    lease = ControlLease(1.0, time, on_taken=lambda *change: changes.append(change))
    _command(lease, B)
    time.now_s += 2.0
    with lease.control(A) as begin:
        with pytest.raises(rk.Busy), lease.control(A):
            raise rk.Busy("its turn did not come")
        assert changes == [(B, None)]
        _command(lease, A)
        with pytest.raises(rk.ControlHeld):
            _command(lease, B)
        begin(False)
    assert changes == [(B, None), (A, B)]


def test_b9_the_change_of_control_is_told_once_with_the_holder_before(time: _Time) -> None:
    changes: list[tuple[Client, Client | None]] = []
    lease = ControlLease(1.0, time, on_taken=lambda *change: changes.append(change))
    assert lease.held_for_s is None
    for _ in range(3):
        _command(lease, A)
        time.now_s += 0.5
    assert lease.held_for_s == 1.5
    with pytest.raises(rk.ControlHeld):
        _command(lease, B)
    time.now_s += 5.0
    assert lease.held_for_s is None
    _command(lease, A)
    lease.release(A)
    _command(lease, B)
    assert changes == [(A, None), (A, A), (B, None)]


def test_b9_the_key_of_a_client_is_never_shown() -> None:
    assert "key of a" not in f"{A} {A!r}"


def test_of_many_at_once_exactly_one_wins() -> None:
    lease, barrier, refused = ControlLease(10.0), threading.Barrier(8), []

    def compete(name: str) -> None:
        barrier.wait()
        try:
            _command(lease, _client(name))
        except rk.ControlHeld:
            refused.append(_client(name))

    threads = [threading.Thread(target=compete, args=(str(i),)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 7
    assert lease.holder not in refused


@pytest.fixture
def url() -> Iterator[str]:
    with served(rk.make_workcell("fake"), ServerSettings(lease_timeout_s=60.0)) as running:
        yield running


def test_two_clients(url: str) -> None:
    with rk.make_workcell("remote", url=url) as first, rk.make_workcell("remote", url=url) as second:
        state = first.reset(seed=0)
        command = rk.PoseCommand(tcp_pose_in_base=state.robot.tcp_pose_in_base)
        first.step(command, period_s=0.02)
        target = first.get_state()
        for refused in (
            lambda: second.step(command, period_s=0.02),
            lambda: second.robot.send(command),
            lambda: second.reset(),
            lambda: second.gripper.close(),
            lambda: second.clock.advance(0.02),
            lambda: second.robot.set_compliance(rk.ComplianceParams()),
        ):
            with pytest.raises(rk.ControlHeld):
                refused()
        assert second.get_state() == target
        second.robot.stop()
        with pytest.raises(rk.RobotStopped):
            first.step(command)
        first.robot.recover()
        first.disconnect()
        assert second.step(period_s=0.02).robot.stamp_s == pytest.approx(target.robot.stamp_s + 0.02)


def test_b9_nothing_that_a_reader_sees_gives_it_control(url: str) -> None:
    key, name = "0123456789abcdef" * 2, "anna@lab3 train.py"
    with httpx.Client(base_url=url, trust_env=False) as client:
        holder = {"X-Robotkit-Client": key, "X-Robotkit-Name": quote(name)}
        assert client.post("/v1/step", json={}, headers=holder).status_code == 200
        health = client.get("/v1/health")
        refused = client.post("/v1/step", json={}, headers={"X-Robotkit-Client": "other"})
        assert (refused.status_code, refused.json()["code"]) == (409, "control_held")
        for shown in (health, refused, client.get("/v1/cell"), client.get("/v1/state")):
            assert not any(key[i : i + 8] in shown.text for i in range(len(key) - 8)), shown.text
        assert name in refused.json()["message"]
        assert health.json()["controlled_by"] == name
        assert 0.0 <= health.json()["controlled_for_s"] < 60.0
        for guess in (name, f"key {key}", "address 127.0.0.1", "unnamed client at 127.0.0.1"):
            assert client.post("/v1/step", json={}, headers={"X-Robotkit-Client": guess}).status_code == 409


def test_b9_robotkits_own_clients_have_readable_names(url: str) -> None:
    with rk.make_workcell("remote", url=url) as cell:
        cell.step(period_s=0.0)
        with httpx.Client(base_url=url, trust_env=False) as client:
            assert client.get("/v1/health").json()["controlled_by"] == unquote(program_name())


@pytest.mark.parametrize(
    ("started", "shown"), [("/usr/bin/train.py", "train.py"), ("/lib/robotkit/__main__.py", "robotkit"), ("", "python")]
)
def test_b9_a_program_is_called_as_it_was_started(started: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", [started])
    assert unquote(program_name()).split(" ")[-1] == shown


def test_r10_a_user_without_an_entry_has_a_name_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert unquote(program_name()).startswith("uid ")


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("J%C3%BCrgen", "Jürgen"),
        ("a%0Ab%1B[31m", "a b [31m"),
        ("%20%00", "unnamed client at 127.0.0.1"),
        ("x" * 500, "x" * 80),
    ],
)
def test_b9_a_name_is_shown_as_one_short_line(url: str, sent: str, shown: str) -> None:
    with httpx.Client(base_url=url, trust_env=False) as client:
        headers = {"X-Robotkit-Client": "key", "X-Robotkit-Name": sent}
        assert client.post("/v1/step", json={}, headers=headers).status_code == 200
        assert client.get("/v1/health").json()["controlled_by"] == shown
        client.post("/v1/control/release", headers=headers)


def test_clients_without_a_key_are_told_apart_by_their_address(url: str) -> None:
    with httpx.Client(base_url=url, trust_env=False) as client:
        assert client.post("/v1/step", json={}).status_code == 200
        assert client.post("/close_gripper").status_code == 200
        assert client.get("/v1/health").json()["controlled_by"] == "address 127.0.0.1"
        refused = client.post("/v1/step", json={}, headers={"X-Robotkit-Client": "other"})
        assert (refused.status_code, refused.json()["code"]) == (409, "control_held")


@pytest.mark.parametrize("down", ["stopped", "fault"])
@pytest.mark.parametrize("way", ["falls silent", "gives control back"])
def test_b9_refusals_of_an_arm_that_is_down_change_nothing_about_control_and_are_told_as_refusals(
    time: _Time, way: str, down: str
) -> None:
    with rk.make_workcell("fake") as cell:
        context = ServerContext(cell, ServerSettings(lease_timeout_s=1.0))
        context.lease._now_s = time
        told: list[tuple[str, str]] = []
        context.step(A, rk.StepRequest())
        if way == "gives control back":
            context.control.release(A)
        time.now_s += 5.0
        if down == "stopped":
            context.stop(A)
        else:
            assert isinstance(cell.robot, SafeRobot)
            cell.robot.inner._latch(cell.robot.machine.fault_of(("torn",)))
        context.events.subscribe(lambda event: told.append((event.kind, event.author)))
        command = rk.PoseCommand(tcp_pose_in_base=cell.get_state().robot.tcp_pose_in_base)
        for client in (B, A, B, B):
            with pytest.raises((rk.RobotStopped, rk.DeviceFault)):
                context.step(client, rk.StepRequest(command=command))
            assert context.lease.holder is None
        assert [kind for kind, _ in told if kind not in ("refused", "fault")] == []
        told.clear()
        for _ in range(2):
            context.step(B, rk.StepRequest(gripper=rk.GripperCommand(position=0.0)))
            assert context.lease.holder == B
        context.recover(A)
        context.step(B, rk.StepRequest(command=rk.PoseCommand(tcp_pose_in_base=command.tcp_pose_in_base)))
        kinds = [kind for kind, _ in told if kind != "fault"]
        assert kinds == ["control_taken", "recover"]


def test_f4_who_is_refused_by_a_stopped_robot_has_no_control_after_another_has_given_it_up(time: _Time) -> None:
    lease = ControlLease(1.0, time)
    for gives_up_in_a_command in (False, True):
        with acquire_control(lease, A):
            if gives_up_in_a_command:
                assert lease.release(A)
        if not gives_up_in_a_command:
            assert lease.release(A)
        with pytest.raises(rk.RobotStopped), acquire_control(lease, B):
            raise rk.RobotStopped("a stop is latched")
        assert lease.holder is None
        with pytest.raises(rk.Busy), lease.control(B):
            raise rk.Busy("before it began")
        assert lease.holder is None


@pytest.mark.parametrize("gives_up", [True, False])
def test_f4_the_first_step_after_control_was_given_up_may_name_the_state_it_was_made_from(gives_up: bool) -> None:
    with rk.make_workcell("fake") as cell:
        context = ServerContext(cell, ServerSettings())
        state = context.step(A, rk.StepRequest(command=_lower(cell), period_s=0.1))
        if gives_up:
            context.control.release(A)
        else:
            context.lease.release(A)  # as if it had fallen silent: the arm may follow the target of another
        state = cell.get_state()
        command = rk.StepRequest(command=_lower(cell), target_epoch=state.robot.target_epoch)
        if gives_up:
            assert context.step(B, command).robot.target_epoch == state.robot.target_epoch
        else:
            with pytest.raises(rk.TargetReplaced):
                context.step(B, command)


def test_f4_a_command_that_outlives_the_release_has_the_arm_stand_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_BRAKE_WAIT_S", 0.01)
    with rk.make_workcell("fake") as cell:
        context = ServerContext(cell, ServerSettings())
        released = threading.Thread(target=context.control.release, args=(A,))
        with suppress(rk.Busy), context.control.acquire(A):
            released.start()
            released.join(20.0)
            cell.robot.send(_lower(cell))
        assert cell.robot.get_state().mode == "tracking"
        with context.control.acquire(B):
            assert cell.robot.get_state().mode == "holding"


def _lower(cell: rk.Workcell) -> rk.PoseCommand:
    pose = cell.robot.get_state().tcp_pose_in_base.copy()
    pose[2] -= 0.01
    return rk.PoseCommand(tcp_pose_in_base=pose)
