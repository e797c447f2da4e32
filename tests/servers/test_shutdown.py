"""SIGTERM: the arm is at rest within a second and the process gone soon after, whatever runs, waits or hangs."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

import robotkit as rk
from robotkit.schema.wire import CLIENT_HEADER
from servers import ServerSettings, create_app
from servers.runner import ENDING_SIGNALS, PASSED_OVER, TERMINAL_SIGNALS, BackgroundServer, take_signals
from tests.serving import wait_for_url
from tests.support.waiting import wait_until

REST_WITHIN_S = 1.0
MARGIN_S = 3.0
"""For a loaded machine; what runs would last for minutes."""

PROGRAM = """
import sys, threading, time
from robotkit.drivers.fake.robot import FakeRobot
from servers.__main__ import main

def logged(name):
    method = getattr(FakeRobot, name)
    def call(self, *arguments):
        print(name, time.monotonic(), flush=True)
        {body}
    return call

for name in {names}:
    setattr(FakeRobot, name, logged(name))
sys.argv = ["robotkit-serve", "--cell", {cell!r}, "--port", "0"]
main()
"""
CELL = """
name = "lab"
clock = "real"
[world]
type = "fake"
[robot]
type = "fake"
joint_speed_rad_s = 0.01
[limits]
watchdog_s = 0.1
"""
PASS_ON = "return method(self, *arguments)"
HANG = "threading.Event().wait()"
FAR = {"joint_positions_rad": [2.0, 0.0, 0.0, -1.9, 0.0, 2.0, 0.0]}


@contextmanager
def logging_server(tmp_path: Path, body: str, names: tuple[str, ...]) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A server process that prints when each of the arm's methods `names` was called."""
    (tmp_path / "lab.toml").write_text(CELL)
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(body=body, names=names, cell=str(tmp_path / "lab.toml")))
    process = subprocess.Popen(
        [sys.executable, str(program)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield wait_for_url(process), process
    finally:
        process.kill()
        process.communicate()


def _post(client: httpx.Client, url: str, body: object, answers: list[object]) -> None:
    try:
        answers.append(client.post(url, json=body).status_code)
    except httpx.TransportError as error:
        answers.append(error)


@contextmanager
def _asking(count: int, url: str, path: str, body: object) -> Iterator[list[object]]:
    """Ask `count` times at once; the statuses, or what was raised, arrive in the list."""
    answers: list[object] = []
    with httpx.Client(headers={CLIENT_HEADER: "tester"}, trust_env=False, timeout=60.0) as client:
        threads = [threading.Thread(target=_post, args=(client, url + path, body, answers)) for _ in range(count)]
        for thread in threads:
            thread.start()
        yield answers
        for thread in threads:
            thread.join(60.0)


def _terminate(process: subprocess.Popen[str]) -> tuple[float, float, list[tuple[str, float]]]:
    """When the signal was sent, when the process was gone, and the calls that it printed, all in monotonic seconds."""
    sent_s = time.monotonic()
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    calls = [line.split() for line in output.splitlines()]
    return (
        sent_s,
        time.monotonic(),
        [(call[0], float(call[1])) for call in calls if call[0] in CALLS and len(call) == 2],
    )


CALLS = ("send", "move_to_joint_positions", "stop", "stop_for")


@pytest.mark.parametrize(
    ("path", "body", "begun"),
    [
        ("/v1/robot/joint_move", FAR, lambda answers: len(answers) >= 59),
        ("/v1/step", {"period_s": 10.0}, lambda answers: len(answers) >= 52),
    ],
)
def test_f9_sigterm_outruns_sixty_queued_requests(
    tmp_path: Path, path: str, body: object, begun: Callable[[list[object]], bool]
) -> None:
    with logging_server(tmp_path, PASS_ON, CALLS) as (url, process), _asking(60, url, path, body) as answers:
        wait_until(lambda: begun(answers), 30.0)
        assert set(answers) == {409}
        sent_s, gone_s, calls = _terminate(process)
        assert process.returncode == 0
    stops_s = [at_s for name, at_s in calls if name.startswith("stop")]
    assert stops_s
    assert stops_s[0] - sent_s < REST_WITHIN_S + MARGIN_S
    assert not [call for call in calls if not call[0].startswith("stop") and call[1] > stops_s[0]]
    assert gone_s - sent_s < REST_WITHIN_S + MARGIN_S


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGALRM])
def test_f9_whatever_ends_the_process_stops_the_arm_and_disconnects_first(
    tmp_path: Path, number: signal.Signals
) -> None:
    with logging_server(tmp_path, PASS_ON, ("stop_for", "disconnect")) as (url, process):
        assert httpx.post(f"{url}/v1/step", json={}, trust_env=False, timeout=60.0).status_code == 200
        process.send_signal(number)
        output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert output.index("stop_for") < output.index("disconnect")


def test_f9_every_signal_from_outside_that_would_end_the_process_is_taken(tmp_path: Path) -> None:
    """Those that are left cannot be caught, tell of a fault of the process itself, or end nothing."""
    faults = {f"SIG{name}" for name in ("ABRT", "BUS", "FPE", "ILL", "SEGV", "SYS", "TRAP")}
    harmless = {f"SIG{name}" for name in ("CHLD", "CONT", "URG", "WINCH")}
    suspending = {signal.SIGTSTP, *TERMINAL_SIGNALS}
    ignored_by_python = {"SIGPIPE", "SIGXFSZ"}
    names = faults | harmless | ignored_by_python | {"SIGKILL", "SIGSTOP"}
    others = {getattr(signal, name) for name in names}
    assert {*ENDING_SIGNALS, *PASSED_OVER, *suspending} == signal.valid_signals() - others
    with logging_server(tmp_path, PASS_ON, ("stop_for",)) as (url, process):
        for number in PASSED_OVER:
            process.send_signal(number)
        assert httpx.get(f"{url}/v1/robot/state", trust_env=False, timeout=60.0).json()["stop"] is None


def test_f9_ctrl_z_stops_the_arm_and_suspends_no_server(tmp_path: Path) -> None:
    with (
        logging_server(tmp_path, PASS_ON, ("stop_for",)) as (url, process),
        httpx.Client(base_url=url, trust_env=False, timeout=20.0) as http,
    ):
        for number in TERMINAL_SIGNALS:
            process.send_signal(number)
        assert http.post("/v1/step", json={}).status_code == 200
        assert http.get("/v1/robot/state").json()["mode"] == "holding"
        for _ in range(2):
            process.send_signal(signal.SIGTSTP)
            wait_until(lambda: http.get("/v1/robot/state").json()["mode"] == "stopped", 20.0)
            stop = http.get("/v1/robot/state").json()["stop"]
            assert (stop["author"], "the server's terminal (Ctrl+Z)" in stop["cause"]) == ("robotkit-serve", True)
            assert http.post("/v1/robot/recover").status_code == 204
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "does not suspend the server" in output


@pytest.mark.parametrize("name", ["_halt", "_close"])
def test_f9_a_driver_that_raises_its_own_error_at_the_end_takes_nothing_else_apart(
    monkeypatch: pytest.MonkeyPatch, name: str, tmp_path: Path
) -> None:
    cell = rk.make_workcell("fake", clock="real")
    closed: list[str] = []
    disconnect = cell.gripper.disconnect
    monkeypatch.setattr(cell.gripper, "disconnect", lambda: (closed.append("gripper"), disconnect()))
    audit = tmp_path / "audit.jsonl"
    waits = threading.Event()
    advance = cell.clock.advance
    monkeypatch.setattr(cell.clock, "advance", lambda period_s: (waits.set(), advance(period_s)))

    def fail() -> None:
        raise OSError("input/output error")

    server = BackgroundServer(create_app(cell, ServerSettings(port=0, audit=audit))).start()
    with httpx.Client(base_url=server.url, trust_env=False, timeout=60.0) as http:
        answers: list[httpx.Response] = []
        step = threading.Thread(target=lambda: answers.append(http.post("/v1/step", json={"period_s": 10.0})))
        step.start()
        assert waits.wait(20.0)
        monkeypatch.setattr(cell.robot.inner, name, fail)
        server.stop()
        step.join(20.0)
    assert answers[0].json()["code"] == "robot_stopped"
    assert closed == ["gripper"]
    assert json.loads(audit.read_text().splitlines()[-1])["event"] == "server_stop"


def test_f9_what_the_process_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    taken = take_signals(lambda number, frame: None)
    try:
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert set(taken) == set(ENDING_SIGNALS) - {signal.SIGHUP}
    finally:
        for number, handler in taken.items():
            signal.signal(number, handler)
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("names", [("send",), ("send", "stop", "stop_for", "disconnect")])
def test_f9_a_body_that_hangs_does_not_keep_the_process(tmp_path: Path, names: tuple[str, ...]) -> None:
    pose = {"kind": "pose", "tcp_pose_in_base": [0.5, 0.0, 0.3, 1.0, 0.0, 0.0, 0.0]}
    with logging_server(tmp_path, HANG, names) as (url, process), _asking(3, url, "/v1/robot/command", pose):
        assert process.stdout is not None
        while not process.stdout.readline().startswith("send"):
            pass
        sent_s, gone_s, _ = _terminate(process)
    assert gone_s - sent_s < 6.0 + MARGIN_S


SWALLOW = """
import sys, time
from robotkit.drivers.fake.robot import FakeRobot
from servers import __main__ as program

def connect(self):
    end_s = time.monotonic() + 60.0
    while time.monotonic() < end_s:
        try:
            print("connecting", flush=True)
            time.sleep(60.0)
        except BaseException as error:
            print("swallowed", type(error).__name__, flush=True)

FakeRobot.connect = connect
program._EXIT_S = 0.5
sys.argv = ["robotkit-serve", "--cell", "fake", "--port", "0"]
program.main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_u4_a_signal_that_a_driver_swallows_while_it_connects_ends_the_process_all_the_same(
    number: signal.Signals,
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SWALLOW], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("connecting"):
            pass
        process.send_signal(number)
        output, _ = process.communicate(timeout=120)
        assert "swallowed" in output
        assert process.returncode == 1
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("numbers", [(signal.SIGINT, signal.SIGINT), (signal.SIGINT, signal.SIGTERM)])
def test_u4_a_second_signal_leaves_nothing_connected_and_prints_no_traceback(
    tmp_path: Path, numbers: tuple[signal.Signals, ...]
) -> None:
    with logging_server(tmp_path, PASS_ON, ("stop_for", "disconnect")) as (url, process):
        assert httpx.get(f"{url}/v1/clock", trust_env=False, timeout=60.0).status_code == 200
        for number in numbers:
            process.send_signal(number)
        output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert "Traceback" not in output
    assert output.index("stop_for") < output.index("disconnect")
