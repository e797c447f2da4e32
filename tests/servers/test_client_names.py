"""A client in command has a name that people can read, and a key that nobody sees."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote, unquote

import httpx
import pytest

import robotkit as rk
from robotkit.remote.identity import program_name
from servers import ServerSettings
from servers.access import Client
from tests.serving import served


def test_b9_the_key_of_a_client_is_never_shown() -> None:
    client = Client("key of a", "a")
    assert "key of a" not in f"{client} {client!r}"


@pytest.fixture
def url() -> Iterator[str]:
    with served(rk.make_workcell("fake"), ServerSettings(lease_timeout_s=60.0)) as running:
        yield running


def test_b9_nothing_that_a_reader_sees_gives_it_control(url: str) -> None:
    key, name = "0123456789abcdef" * 2, "anna@lab3 train.py"
    with httpx.Client(base_url=url, trust_env=False, timeout=60.0) as client:
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
        with httpx.Client(base_url=url, trust_env=False, timeout=60.0) as client:
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
    with httpx.Client(base_url=url, trust_env=False, timeout=60.0) as client:
        headers = {"X-Robotkit-Client": "key", "X-Robotkit-Name": sent}
        assert client.post("/v1/step", json={}, headers=headers).status_code == 200
        assert client.get("/v1/health").json()["controlled_by"] == shown
        client.post("/v1/control/release", headers=headers)


def test_clients_without_a_key_are_told_apart_by_their_address(url: str) -> None:
    with httpx.Client(base_url=url, trust_env=False, timeout=60.0) as client:
        assert client.post("/v1/step", json={}).status_code == 200
        assert client.post("/close_gripper").status_code == 200
        assert client.get("/v1/health").json()["controlled_by"] == "address 127.0.0.1"
        refused = client.post("/v1/step", json={}, headers={"X-Robotkit-Client": "other"})
        assert (refused.status_code, refused.json()["code"]) == (409, "control_held")
