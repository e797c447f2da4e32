"""Wrong tokens without end: they cost little, fill no log, and keep nobody who has the right one from being served."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

import robotkit as rk
from servers import ServerSettings, create_app, wrong_tokens
from servers.events import Event
from servers.runner import BackgroundServer
from servers.wrong_tokens import MOST, WITHIN_S, WrongTokens

TOKEN = "correct horse battery"
RIGHT, WRONG = ({"Authorization": f"Bearer {token}"} for token in (TOKEN, "wrong"))


@dataclass
class _Flood:
    """`WrongTokens` with a time of its own, and the addresses of which it told."""

    now_s: float = 100.0
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.wrong = WrongTokens(self.told.append, lambda: self.now_s)

    def waits_s(self, *times_s: float, address: str = "a") -> list[float]:
        """What is said to wrong tokens at these times after 100 s."""
        waits = []
        for time_s in times_s:
            self.now_s = 100.0 + time_s
            waits.append(self.wrong.add(address))
        return waits


@pytest.fixture
def flood() -> _Flood:
    return _Flood()


FEW = (0.0,) * MOST


def test_ten_within_ten_seconds_are_allowed_and_one_more_is_not(flood: _Flood) -> None:
    assert (MOST, WITHIN_S) == (10, 10.0)
    assert flood.waits_s(*FEW, 0.0, 9.9) == [0.0] * 10 + [pytest.approx(10.0), pytest.approx(0.1)]


def test_one_a_second_goes_on_for_ever(flood: _Flood) -> None:
    assert not any(flood.waits_s(*range(100)))
    assert flood.told == []


def test_the_ten_seconds_move_along(flood: _Flood) -> None:
    assert not any(flood.waits_s(0.0, *(9.0,) * 9))
    assert flood.waits_s(10.0, 10.1) == [0.0, pytest.approx(8.9)]


def test_whoever_waits_as_long_as_it_was_told_is_heard_again(flood: _Flood) -> None:
    waits_s = flood.waits_s(*FEW, 3.0)
    assert flood.waits_s(3.0 + waits_s[-1]) == [0.0]


def test_a_flood_is_told_once_however_long_it_lasts_and_the_next_one_again(flood: _Flood) -> None:
    flood.waits_s(*FEW)
    assert flood.told == []
    assert all(flood.waits_s(*(0.5 * index for index in range(100))))
    assert flood.told == ["a"]
    assert not any(flood.waits_s(*(1000.0,) * MOST))
    assert all(flood.waits_s(1000.0, 1000.0))
    assert flood.told == ["a", "a"]


def test_addresses_are_counted_apart(flood: _Flood) -> None:
    flood.waits_s(*FEW, 0.0)
    assert not any(flood.waits_s(*FEW, address="b"))
    assert flood.waits_s(0.0, address="b") == [pytest.approx(WITHIN_S)]
    assert flood.told == ["a", "b"]


def test_any_number_of_addresses_takes_little_memory(flood: _Flood, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrong_tokens, "_ADDRESSES_MAX", 3)
    for address in "abcabcabd":
        flood.waits_s(*FEW, 0.0, address=address)
    assert set(flood.wrong._last_s) == flood.wrong._floods == {"a", "b", "d"}
    assert flood.waits_s(0.0, address="c") == [0.0]


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def url(events: list[Event]) -> Iterator[str]:
    app = create_app(rk.make_workcell("fake"), ServerSettings(port=0, token=TOKEN))
    app.state.context.events.subscribe(events.append)
    with BackgroundServer(app) as server:
        yield server.url


@pytest.fixture
def http(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, trust_env=False, timeout=60.0) as client:
        yield client


def test_beyond_ten_wrong_tokens_are_answered_429_and_a_right_one_at_once(
    url: str, http: httpx.Client, events: list[Event]
) -> None:
    for _ in range(MOST):
        assert http.get("/v1/state", headers=WRONG).status_code == 401
    told = len(events)
    for path in ("/v1/state", "/", "/v1/robot/stop", "/v1/step"):
        for _ in range(3):
            reply = http.request("GET" if path in ("/", "/v1/state") else "POST", path, headers=WRONG)
            assert (reply.status_code, reply.json()["code"]) == (429, "unauthorized")
            assert 1 <= int(reply.headers["Retry-After"]) <= WITHIN_S
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(url.replace("http", "ws") + "/v1/steps", proxy=None, additional_headers=WRONG),
    ):
        pass
    assert refused.value.response.status_code == 429
    assert [(event.kind, event.code, event.address) for event in events[told:]] == [
        ("unauthorized", "unauthorized", "127.0.0.1")
    ]
    assert "more than 10" in events[told].message
    assert http.post("/v1/robot/stop", headers=RIGHT).status_code == 204
    assert http.get("/v1/state", headers=RIGHT).json()["robot"]["mode"] == "stopped"
    assert http.get("/v1/state", headers=WRONG).status_code == 429
    with pytest.raises(rk.Unauthorized, match="wrong tokens"):
        rk.make_workcell("remote", url=url, token="wrong")


@pytest.mark.parametrize("headers", [{}, {"Authorization": f"Basic {TOKEN}"}, RIGHT | {"Origin": "http://elsewhere"}])
def test_what_is_no_wrong_token_is_not_counted(http: httpx.Client, headers: dict[str, str]) -> None:
    for _ in range(MOST + 2):
        assert http.get("/v1/state", headers=headers).status_code == 401
    assert http.get("/v1/state", headers=WRONG).status_code == 401
