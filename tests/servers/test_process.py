"""The server as a real process: start, signals, a client that is killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

import robotkit as rk
from servers.__main__ import Serve, serve
from servers.runner import bind
from tests.serving import REPOSITORY, served, server_process, start, wait_for_url
from tests.support.waiting import wait_until

CELL = """
name = "lab"
clock = "real"
[world]
type = "fake"
[robot]
type = "fake"
[limits]
watchdog_s = 0.1
"""

CLOSED = """
import os, sys
os.closerange(0, 3)
os.execv(sys.executable, [sys.executable, "-m", "servers", "--cell", sys.argv[1], "--port", sys.argv[2]])
"""

PUSH = """
import sys, numpy as np, robotkit as rk
with rk.make_workcell("remote", url=sys.argv[1]) as cell:
    pose = cell.get_state().robot.tcp_pose_in_base.copy()
    for step in range(100000):
        pose[2] += 0.0005
        cell.step(rk.PoseCommand(tcp_pose_in_base=pose), period_s=0.01)
        print(step, flush=True)
"""


@pytest.fixture
def lab(tmp_path: Path) -> str:
    path = tmp_path / "lab.toml"
    path.write_text(CELL)
    return str(path)


def test_a_killed_client_leaves_the_robot_holding(lab: str, tmp_path: Path) -> None:
    (tmp_path / "push.py").write_text(PUSH)
    with server_process("--cell", lab) as (url, _), rk.make_workcell("remote", url=url) as cell:
        client = subprocess.Popen([sys.executable, str(tmp_path / "push.py"), url], stdout=subprocess.PIPE, text=True)
        try:
            while "20" not in client.stdout.readline():
                pass
            assert cell.get_state().robot.tcp_twist_in_base[2] > 0.01
            client.kill()
            killed_s = time.monotonic()
            while cell.get_state().robot.mode != "holding":
                assert time.monotonic() < killed_s + 5.0, "the robot never held"
            took_s = time.monotonic() - killed_s
        finally:
            client.kill()
            client.communicate()
        assert took_s < 0.2
        held = cell.get_state().robot.tcp_pose_in_base
        time.sleep(0.3)
        assert cell.get_state().robot.tcp_pose_in_base == pytest.approx(held, abs=0.005)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_in_order_with_the_robot_stopped(lab: str, number: signal.Signals) -> None:
    with server_process("--cell", lab) as (url, process), rk.make_workcell("remote", url=url) as cell:
        stream = cell.stream()
        stream.connect()
        pose = cell.get_state().robot.tcp_pose_in_base.copy()
        pose[2] += 0.05
        cell.step(rk.PoseCommand(tcp_pose_in_base=pose))
        process.send_signal(number)
        output, _ = process.communicate(timeout=20)
        assert process.returncode == 0, output
        assert "Traceback" not in output
        stream.disconnect()
        with pytest.raises(rk.ConnectionFailed):
            cell.get_state()


def test_shutdown_stops_the_arm_first_and_disconnects_last() -> None:
    stops: list[str] = []
    cell = rk.make_workcell("fake", clock="real")
    stop, disconnect = cell.robot.stop_for, cell.robot.disconnect
    cell.robot.stop_for = lambda *why: (stops.append("stop"), stop(*why))
    cell.robot.disconnect = lambda: (stops.append("disconnect"), disconnect())
    with served(cell):
        pass
    assert stops[0] == "stop"
    assert stops[-1] == "disconnect"
    assert not cell.is_connected


def test_an_arm_that_cannot_be_stopped_does_not_keep_the_server_from_closing(caplog: pytest.LogCaptureFixture) -> None:
    def unplugged(*why: str) -> None:
        raise rk.NotConnected("unplugged")

    cell = rk.make_workcell("fake", clock="real")
    cell.robot.stop_for = unplugged
    with served(cell):
        pass
    assert not cell.is_connected
    assert "unplugged" in caplog.text


COUNT = """
import gc, sys
from robotkit.drivers.fake.robot import FakeRobot
from servers.__main__ import main

def stop_for(self, *why):
    print("frozen", gc.get_freeze_count(), flush=True)

FakeRobot.stop_for = stop_for
sys.argv = ["robotkit-serve", "--cell", "fake", "--port", "0"]
main()
"""


def test_b1_no_collection_looks_through_what_was_loaded_at_the_start() -> None:
    process = subprocess.Popen([sys.executable, "-c", COUNT], stdout=subprocess.PIPE, text=True)
    try:
        url = wait_for_url(process)
        assert httpx.post(f"{url}/v1/robot/stop", trust_env=False, timeout=60).status_code == 204
        process.terminate()
        output, _ = process.communicate(timeout=120)
        counts = [int(line.split()[1]) for line in output.splitlines() if line.startswith("frozen")]
        assert counts[0] > 10_000
    finally:
        process.kill()
        process.communicate()


def test_a_stranger_who_sends_what_is_no_request_writes_nothing_into_the_log(lab: str) -> None:
    with server_process("--cell", lab) as (url, process):
        address = httpx.URL(url)
        for content in (
            b"\x16\x03\x01 hello\r\n\r\n",
            b"GET / HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        ):
            with socket.create_connection((address.host, address.port), timeout=60) as peer:
                peer.sendall(content)
                assert peer.recv(4096).startswith(b"HTTP/1.1 4")
        process.terminate()
        output, _ = process.communicate(timeout=120)
    assert "Invalid" not in output
    assert "pgrade" not in output


def test_the_announcement_names_the_address_and_the_page(lab: str) -> None:
    process = start("servers", "--cell", lab, "--port", "0", ROBOTKIT_TOKEN="from the environment")
    try:
        url = wait_for_url(process)
        page = process.stdout.readline()
        assert url in page
        assert "environment" not in page
        with pytest.raises(rk.Unauthorized):
            rk.make_workcell("remote", url=url)
        with rk.make_workcell("remote", url=url, token="from the environment") as cell:
            assert cell.name == "lab"
    finally:
        process.kill()
        process.communicate()


def test_a_port_in_use_is_one_sentence_that_says_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = start("servers", "--cell", "fake", "--port", str(taken.getsockname()[1]))
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert output.startswith("error: port")
    assert "in use" in output
    assert "--port" in output
    assert len(output.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("config", "error", "hint"),
    [
        (Serve("fake", host="0.0.0.0", port=0), rk.InvalidConfiguration, "ROBOTKIT_TOKEN"),
        (Serve("fakee", port=0), rk.UnknownPlugin, "Known"),
        (Serve("http://127.0.0.1:5000", port=0), rk.InvalidConfiguration, "its own machine"),
        (Serve("nowhere.toml", port=0), rk.InvalidConfiguration, "nowhere.toml"),
        (Serve("fake", port=70000), rk.InvalidConfiguration, "port"),
        (Serve("fake", port=0, stream_rate_max_hz=0.0), rk.InvalidConfiguration, "stream_rate_max_hz"),
    ],
)
def test_what_cannot_be_served_is_said_before_anything_moves(
    config: Serve, error: type[rk.RobotkitError], hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ROBOTKIT_TOKEN", raising=False)
    with pytest.raises(error, match=hint):
        serve(config)


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(rk.InvalidConfiguration, match="cannot listen"):
        bind("192.0.2.1", 0)


def test_f9_a_server_without_standard_files_serves_and_writes_its_log_into_nothing_else(lab: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-c", CLOSED, lab, str(port)], cwd=REPOSITORY)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60.0) as http:
            wait_until(lambda: process.poll() is not None or _answers(http), 60.0)
            assert process.poll() is None
            files = [os.readlink(f"/proc/{process.pid}/fd/{number}") for number in range(3)]
            assert files == [os.devnull] * 3
        process.send_signal(signal.SIGTERM)
        assert process.wait(20.0) == 0
    finally:
        process.kill()
        process.wait()


def _answers(http: httpx.Client) -> bool:
    try:
        return http.get("/v1/health").status_code == 200
    except httpx.TransportError:
        return False
