"""R7: a learner's address has one form and one builder, and what is no host is refused in a sentence."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

import rl
from rl.errors import ConfigError
from rl.link.address import learner_url
from rl.link.client import LearnerLink
from rl.link.hub import LearnerHub
from rl.link.server import LinkServer
from rl.link.state import ClientSettings

from .conftest import handshake, transition


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:5600"),
        ("lab-pc.local", "http://lab-pc.local:5600"),
        ("::1", "http://[::1]:5600"),
        ("2001:db8::7", "http://[2001:db8::7]:5600"),
    ],
)
def test_r7_an_ipv6_address_stands_in_brackets(host: str, url: str):
    assert learner_url("http", host, 5600) == url
    assert httpx.URL(url).port == 5600


@pytest.mark.parametrize("host", ["", "[::1]", "a b", "http://lab-pc", "lab-pc:5600", "lab/pc", "-lab"])
def test_r7_what_is_no_host_is_refused_in_a_sentence(host: str):
    with pytest.raises(ConfigError, match=r"--link\.host.*neither the name of a host nor an address"):
        learner_url("ws", host, 5600)


def test_r7_a_learner_on_an_ipv6_address_is_reached_by_its_own_url(hub: LearnerHub):
    with LinkServer(hub, "::1", 0) as server:
        settings = ClientSettings(learner_url("ws", "::1", server.port) + "/v1/link", linger_s=0.001)
        with LearnerLink(settings, handshake()) as link:
            link.send(transition(0))
            assert link.flush(10.0)
        status = httpx.get(learner_url("http", "::1", server.port) + "/v1/status", trust_env=False, timeout=60.0)
        assert status.json()["env_steps"] == 1


def test_r7_nobody_else_builds_such_addresses():
    builders = [
        path.name for path in Path(rl.__file__).parent.rglob("*.py") if "://{" in path.read_text(encoding="utf-8")
    ]
    assert builders == ["address.py"]
