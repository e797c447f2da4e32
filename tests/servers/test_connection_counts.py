"""`Connections` by itself: who is let in, who is closed for whom, and that nothing is counted twice or for ever."""

from __future__ import annotations

import resource
import socket
from contextlib import closing

import pytest

from servers.connections import ONLY_STOP_MAX, Connections, notice_vanished_peers, too_many


class _Connection:
    """A connection that is its own transport."""

    def __init__(
        self, address: str = "a", is_idle: bool = True, is_socket: bool = False, is_known: bool = False
    ) -> None:
        self.address, self.is_idle, self.is_socket, self.is_known = address, is_idle, is_socket, is_known
        self.transport = self
        self.is_aborted = self.closes = False

    def is_closing(self) -> bool:
        return self.closes

    def abort(self) -> None:
        self.is_aborted = self.closes = True


def _filled(connections: Connections, count: int, address: str = "a", is_idle: bool = True) -> list[_Connection]:
    taken = [_Connection(address, is_idle) for _ in range(count)]
    assert all(connections.add(one) for one in taken)
    return taken


def test_as_many_as_an_address_may_have_are_let_in_and_nobody_is_closed() -> None:
    connections = Connections(per_address=3)
    assert not any(one.is_aborted for one in _filled(connections, 3) + _filled(connections, 3, "b"))
    assert connections.excess("a") == connections.excess("b") == 0
    assert connections.excess("c") == -3


def test_one_more_closes_the_one_that_was_idle_for_longest() -> None:
    connections = Connections(per_address=3)
    first, second, third = _filled(connections, 3)
    other = _Connection("b")
    connections.add(other)
    connections.used(first)
    assert connections.add(_Connection())
    assert [one.is_aborted for one in (first, second, third, other)] == [False, True, False, False]


def test_one_that_is_closing_already_is_not_closed_in_place_of_another() -> None:
    connections = Connections(per_address=2)
    first, second = _filled(connections, 2)
    assert connections.add(_Connection())
    assert connections.add(_Connection())
    assert first.is_aborted
    assert second.is_aborted


@pytest.mark.parametrize("limit", [{"per_address": 2}, {"total": 2}])
def test_when_none_is_idle_the_new_one_is_one_too_many_and_is_not_closed(limit: dict[str, int]) -> None:
    connections = Connections(**limit)
    taken = _filled(connections, 2, is_idle=False)
    new = _Connection()
    assert not connections.add(new)
    assert not any(one.is_aborted for one in (*taken, new))


def test_beyond_the_total_the_address_with_the_most_gives_one_up() -> None:
    connections = Connections(total=5)
    many, few = _filled(connections, 3, "many"), _filled(connections, 2, "few")
    assert connections.add(_Connection("new"))
    assert [one.is_aborted for one in (*many, *few)] == [True, False, False, False, False]


def test_f11_beyond_the_total_a_silent_one_is_closed_also_where_those_with_the_most_are_busy() -> None:
    connections = Connections(total=5)
    busy, (silent,) = _filled(connections, 3, "many", is_idle=False), _filled(connections, 1, "few")
    known = _Connection("few", is_known=True)
    assert connections.add(known)
    assert connections.add(_Connection("new"))
    assert [one.is_aborted for one in (*busy, silent, known)] == [False, False, False, True, False]
    # Whose client would count as gone is closed for nobody at another address.
    connections.remove(silent)
    assert connections.add(_Connection("newer", is_idle=False))
    assert not connections.add(_Connection("newest"))
    assert not known.is_aborted


def test_f11_those_for_a_stop_only_are_bounded_in_all_and_the_oldest_silent_one_gives_way() -> None:
    connections = Connections(total=1)
    _filled(connections, 1, "busy", is_idle=False)
    only_stop = [_Connection(f"address {index}") for index in range(ONLY_STOP_MAX)]
    for one in only_stop:
        one.is_idle = False  # as if it were in its stop, so that it gives no room to the next
        assert not connections.add(one)
    new = _Connection("new", is_idle=False)
    assert not connections.add(new)
    assert new.is_aborted
    connections.remove(new)
    only_stop[1].is_idle = only_stop[2].is_idle = True
    only_stop[1].is_known = only_stop[2].is_known = True
    assert not connections.add(_Connection("newer"))
    assert [one.is_aborted for one in only_stop[:4]] == [False, True, False, False]


def test_what_is_removed_makes_room_and_leaves_nothing_behind() -> None:
    connections = Connections(per_address=2, total=2)
    first, second = _filled(connections, 2)
    connections.remove(first)
    connections.remove(first)
    connections.used(first)
    third = _Connection()
    assert connections.add(third)
    assert not second.is_aborted
    assert connections.add(_Connection("b"))
    assert second.is_aborted
    for one in (second, third):
        connections.remove(one)
    assert connections.excess("a") == -2
    assert "a" not in connections._by_address


def test_websockets_are_counted_for_each_address() -> None:
    connections = Connections()
    for one in (_Connection(), _Connection(is_socket=True), _Connection(is_socket=True), _Connection("b", True, True)):
        connections.add(one)
    assert [connections.sockets(address) for address in "abc"] == [2, 1, 0]


def test_without_a_total_the_files_that_the_process_may_open_less_a_reserve_are_the_total(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (258, 10**6))
    connections = Connections()
    first, _ = _filled(connections, 2)
    assert not first.is_aborted
    connections.add(_Connection("b"))
    assert first.is_aborted
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (100, 100))
    assert Connections().add(_Connection())


def test_who_has_too_many_is_told_its_address_and_that_a_stop_is_served() -> None:
    assert "10.0.0.1 has as many" in too_many("10.0.0.1").message
    assert "this address has" in too_many("").message
    assert "stop is served" in too_many("").message


class _Transport:
    def __init__(self, peer: socket.socket | None) -> None:
        self._peer = peer

    def get_extra_info(self, name: str) -> socket.socket | None:
        return self._peer if name == "socket" else None


def test_f17_the_system_asks_after_two_seconds_and_gives_up_two_later() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as peer,
    ):
        notice_vanished_peers(_Transport(peer))
        assert peer.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        idle_s, period_s, times = (peer.getsockopt(socket.IPPROTO_TCP, option) for option in options)
    assert idle_s + period_s * times == 4


def test_what_is_no_network_connection_is_left_alone() -> None:
    one, other = socket.socketpair()
    with closing(one), closing(other):
        notice_vanished_peers(_Transport(one))
    notice_vanished_peers(_Transport(None))
