"""The table of bodies: a name, and a context manager that yields a connected workcell.

A new body is done when it is in this table and the suite passes. What the suite needs of it: a gripper, at least one
camera, at least one tracker, and in its limits a workspace box, a step limit and a joint step limit. After `reset` the
arm must stand inside the box, at least 3 cm from its faces.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import robotkit as rk
from robotkit.registry import teleops
from tests.serving import shared_server
from tests.support.franky_sim import shared_simulator
from tests.support.franky_sim.cells import franka_cell
from tests.support.franky_sim.clock import SimulatedTime

Body = Callable[[], AbstractContextManager[rk.Workcell]]

_UNHURRIED = {
    "clock": "real",
    "robot.time_constant_s": 1.0,
    "robot.joint_speed_rad_s": 0.1,
    "gripper.stroke_s": 2.0,
    "limits.watchdog_s": None,
}
"""What the suite looks at on the way lasts so long that a busy machine does not miss it."""


@contextmanager
def fake_lockstep() -> Iterator[rk.Workcell]:
    with rk.make_workcell("fake") as cell:
        yield cell


@contextmanager
def fake_on_off() -> Iterator[rk.Workcell]:
    """A gripper that is open or closed."""
    with rk.make_workcell("fake", **{"gripper.positions": [0.0, 1.0]}) as cell:
        yield cell


@contextmanager
def fake_realtime() -> Iterator[rk.Workcell]:
    with rk.make_workcell("fake", **_UNHURRIED) as cell:
        yield cell


@contextmanager
def remote(**options: object) -> Iterator[rk.Workcell]:
    """A fake cell behind a real server on loopback; one server of each kind lives as long as the test run."""
    with rk.make_workcell("remote", url=shared_server("fake", **options)) as cell:
        cell.robot.recover()
        yield cell


@contextmanager
def mujoco_lockstep() -> Iterator[rk.Workcell]:
    with rk.make_workcell("mujoco-pick-cube") as cell:
        yield cell


@contextmanager
def mujoco_realtime() -> Iterator[rk.Workcell]:
    # The suite watches an arm arrive without repeating its command; the watchdog has tests of its own.
    with rk.make_workcell("mujoco-pick-cube", clock="real", **{"limits.watchdog_s": None}) as cell:
        yield cell


@contextmanager
def mujoco_two_arms() -> Iterator[rk.Workcell]:
    """The second arm of a world, whose base is neither at the world's origin nor turned like it."""
    first = rk.make_workcell("mujoco-object-handover-left")
    with first, rk.make_workcell_in(first.world, "mujoco-object-handover-right") as cell:
        yield cell


@contextmanager
def franka() -> Iterator[rk.Workcell]:
    """The Franka drivers against the protocol simulator, in lock-step: a busy machine loses no cycle."""
    with rk.make_workcell(franka_cell(shared_simulator().host)) as cell:
        cell.clock = SimulatedTime(shared_simulator())
        yield cell


BODIES: dict[str, Body] = {
    "fake-lockstep": fake_lockstep,
    "fake-on-off": fake_on_off,
    "fake-realtime": fake_realtime,
    "franka": franka,
    "mujoco-lockstep": mujoco_lockstep,
    "mujoco-realtime": mujoco_realtime,
    "mujoco-two-arms": mujoco_two_arms,
    "remote-lockstep": remote,
    "remote-realtime": partial(remote, **_UNHURRIED),
}

TELEOPS: dict[str, Callable[[], rk.BaseTeleop]] = {
    "fake": lambda: teleops.make("fake", twist=[0.5, 0, 0, 0, 0, 0]),
}
