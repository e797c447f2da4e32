"""Cells whose time and whose watch are driven by hand, so that a rule decides what happens when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

import robotkit as rk
from robotkit.clock import Clock
from robotkit.devices import AdaptedRobot, CellContext, StatefulRobotServer
from robotkit.drivers.fake import FakeRobot
from robotkit.drivers.fake.kinematics import tcp_pose
from robotkit.safety import make_safe
from servers import ServerSettings, create_app
from servers.runner import BackgroundServer
from tests.support.franky_sim import shared_simulator
from tests.support.franky_sim.cells import robot_options
from tests.support.franky_sim.clock import SimulatedTime
from tests.support.watched_arm import watch_once

TICK_S = 0.01
"""How often the watch goes round on a real clock."""


class WallClock(Clock):
    """A lock-step clock that claims to run by itself, and lets the watch go round while it is advanced."""

    def __init__(self, inner: Clock) -> None:
        self.inner = inner
        self.watch: Callable[[], None] = lambda: None
        self.observe: Callable[[], None] = lambda: None

    @property
    def is_lockstep(self) -> bool:
        return False

    def now_s(self) -> float:
        return self.inner.now_s()

    def advance(self, period_s: float) -> None:
        for _ in range(max(1, round(period_s / TICK_S))):
            self.inner.advance(TICK_S)
            self.watch()
            self.observe()


class PacedClock(Clock):
    """Time that passes only in `advance`, which lets a simulator compute as long."""

    def __init__(self, simulated: Clock) -> None:
        self._simulated = simulated
        self._now_s = 0.0

    @property
    def is_lockstep(self) -> bool:
        return False

    def now_s(self) -> float:
        return self._now_s

    def advance(self, period_s: float) -> None:
        self._simulated.advance(period_s)
        self._now_s += period_s


class Plugin(rk.BaseRobotServer):
    """A fake arm as a plugin brings it: the contract, without the project's state machine."""

    def __init__(self, arm: FakeRobot) -> None:
        super().__init__(arm.config, arm.context)
        self.arm = arm
        self.spec = arm.spec
        for name in ("connect", "disconnect", "send", "move_to_joint_positions", "set_compliance", "stop", "recover"):
            setattr(self, name, getattr(arm, name))

    @property
    def is_connected(self) -> bool:
        return self.arm.is_connected

    def get_state(self) -> rk.RobotState:
        return self.arm.get_state()

    def connect(self) -> None: ...
    def disconnect(self) -> None: ...
    def send(self, command: rk.RobotCommand) -> rk.RobotCommand: ...
    def move_to_joint_positions(self, positions_rad: np.ndarray) -> None: ...
    def set_compliance(self, params: rk.ComplianceParams) -> None: ...
    def stop(self) -> None: ...
    def recover(self) -> None: ...


@dataclass
class Rig:
    """A cell under test."""

    cell: rk.Workcell
    body: StatefulRobotServer
    """The arm inside the safety layer."""
    clock: WallClock
    fake: FakeRobot | None
    """Where silence and forces can be injected."""
    limits: rk.SafetyLimits = field(default_factory=lambda: LIMITS)
    break_arm: Callable[[str], object] | None = None
    """Let the device report a fault."""
    close: Callable[[], None] = lambda: None

    @property
    def robot(self) -> rk.BaseRobotServer:
        return self.cell.robot

    def joints(self) -> np.ndarray:
        """Where the joints are, also while the sensor is silent."""
        if self.fake is None:
            return self.body.get_state().joint_positions_rad.copy()
        return self.fake._joints_at(self.clock.now_s())[0].copy()

    def tool(self) -> np.ndarray:
        """Where the tool is, (7,)."""
        return self.body.get_state().tcp_pose_in_base.copy() if self.fake is None else tcp_pose(self.joints())


LIMITS = rk.SafetyLimits(
    workspace=rk.WorkspaceBox(
        position_min_m=(0.25, -0.2, 0.1), position_max_m=(0.6, 0.2, 0.5), reference_quaternion_xyzw=(1, 0, 0, 0),
        rotation_vector_min_rad=(-0.8,) * 3, rotation_vector_max_rad=(0.8,) * 3,
    ),
    planes=(rk.Plane(name="table", point_in_base_m=(0, 0, 0), normal_in_base=(0, 0, 1)),),
    max_translation_step_m=0.08,
    max_rotation_step_rad=0.3,
    max_joint_step_rad=0.3,
    max_tcp_speed_m_s=0.5,
    max_joint_speed_rad_s=1.5,
    speed_window_s=0.2,
    measured_speed_factor=4.0,
    max_force_n=60.0,
    watchdog_s=0.2,
    state_max_age_s=0.1,
)  # fmt: skip


FRANKA_BOX = rk.WorkspaceBox(
    position_min_m=(0.2, -0.25, 0.25), position_max_m=(0.6, 0.25, 0.75), reference_quaternion_xyzw=(1, 0, 0, 0),
    rotation_vector_min_rad=(-0.8,) * 3, rotation_vector_max_rad=(0.8,) * 3,
)  # fmt: skip


def fake_rig(*, is_plugin: bool = False) -> Rig:
    config = rk.WorkcellConfig(
        name="rig", clock="lockstep", world=rk.PluginRef(type="fake"),
        robot=rk.PluginRef(type="fake", options={"time_constant_s": 0.4}),  # slow: not there yet when it holds
        gripper=rk.PluginRef(type="fake"),
    )  # fmt: skip
    cell = rk.make_workcell(config)
    fake = cell.robot.inner
    return _rig(cell, AdaptedRobot(Plugin(fake)) if is_plugin else fake, fake)


def mujoco_rig(controller: str) -> Rig:
    cell = rk.make_workcell("mujoco-pick-cube", **{"robot.controller": controller})
    return _rig(cell, cell.robot.inner, None)


def remote_rig() -> Rig:
    """The fake cell of `fake_rig` behind a real server on a real socket."""
    served = fake_rig()
    server = BackgroundServer(create_app(served.cell, ServerSettings(port=0))).start()
    return replace(served, cell=rk.make_workcell("remote", url=server.url), close=server.stop)


def franka_rig() -> Rig:
    """The Franka driver against the protocol simulator, whose time passes with the rig's."""
    from robotkit.drivers.franka import FrankaRobot  # a native library, for the tests that ask for it alone

    simulator = shared_simulator()
    clock = PacedClock(SimulatedTime(simulator))
    # Without the age of the state: a packet of the simulator is as old as the machine is busy.
    limits = LIMITS.model_copy(update={"workspace": FRANKA_BOX, "state_max_age_s": None, "unlimited": True})
    body = FrankaRobot(FrankaRobot.Config(**robot_options(simulator.host)), CellContext(clock=clock))
    cell = rk.Workcell(name="franka-rig", clock=clock, robot=body)
    return replace(
        _rig(cell, body, None, limits), limits=limits, break_arm=lambda name: simulator.inject(reflex="joint_reflex")
    )


def _rig(
    cell: rk.Workcell, body: StatefulRobotServer, fake: FakeRobot | None, limits: rk.SafetyLimits | None = None
) -> Rig:
    limits = limits or LIMITS
    clock = WallClock(cell.clock)
    robot = make_safe(body, limits, clock)
    clock.watch = lambda: watch_once(robot)
    robot._watch = None  # the clock lets it go round, in place of the threads
    rigged = replace(cell, robot=robot, clock=clock, limits=limits)
    return Rig(rigged, body, clock, fake, break_arm=None if fake is None else fake.inject_fault)


RIGS: dict[str, Callable[[], Rig]] = {
    "fake": fake_rig,
    "plugin": lambda: fake_rig(is_plugin=True),
    "mujoco": lambda: mujoco_rig("opspace"),
    "mujoco-impedance": lambda: mujoco_rig("impedance"),
    "remote": remote_rig,
    "franka": franka_rig,
}
