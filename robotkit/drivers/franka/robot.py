"""`FrankaRobot`: an FR3 or a Panda under Cartesian impedance control."""

from __future__ import annotations

import itertools
import math
import threading
import time
from dataclasses import replace

import franky
import numpy as np

from robotkit.aside import aside_logger
from robotkit.devices import ArmFault, CellContext, Measurement, StatefulRobotServer, Travel
from robotkit.drivers.franka import impedance
from robotkit.drivers.franka.config import FrankaRobotConfig, joint_limits, robot_spec
from robotkit.drivers.franka.faults import Fault
from robotkit.drivers.franka.link import FrankaLink
from robotkit.drivers.franka.settling import wait_until_settled
from robotkit.drivers.franka.setup import with_tool
from robotkit.drivers.franka.tracking import ImpedanceTracking, pose_of
from robotkit.errors import ConnectionFailed, DeviceFault, RobotkitError, StaleState
from robotkit.schema import ComplianceParams, PoseCommand, RobotCommand

_LOG = aside_logger(__name__)
_REST_S = 3.0
"""A braked arm stands within this time: franky's own brake gives up after 2 s."""
_POLL_PERIOD_S = 0.005
_PACKET_S, _PACKET_POLLS, _PACKET_PERIOD_S = 0.1, 3, 0.001
"""How long, and how often at least, a hold looks for the next packet of a box that sends one in a millisecond."""
_DYNAMICS_MIN = 1e-3
"""The smallest share of the arm's dynamics that a joint motion is given."""


class FrankaRobot(StatefulRobotServer):
    """The 1 kHz law runs in franky's native thread; this class sets its target and watches over it.

    Nothing is cleared by itself: after a reflex, a lost connection or `stop()` the arm holds until `recover()`.
    """

    Config = FrankaRobotConfig

    def __init__(self, config: FrankaRobotConfig, context: CellContext) -> None:
        super().__init__(config, context, robot_spec(config))
        self._options = config
        self._compliance: ComplianceParams = config.compliance
        self._link: FrankaLink | None = None
        self._tracking: ImpedanceTracking | None = None
        self._next_pose: np.ndarray | None = None
        """The pose that was sent while the arm still braked."""
        self._cleared: ArmFault | None = None
        """The fault that a recovery has cleared at the box, and that the machine still has until the arm holds."""
        self._packet_s = self._stamp_s = float("-inf")

    def _open(self) -> ArmFault | None:
        link = FrankaLink(self._options)
        try:
            names = link.faults()
            if not names:
                link.configure()
        except RobotkitError:
            link.close()
            raise
        self._link = link
        self.spec = with_tool(self.spec, link.read())
        return self._arm_fault(Fault.named(names)) if names else None

    def _close(self) -> None:
        link, self._link = self._link, None
        if link is None:
            return
        try:
            link.brake()
            link.wait_for_rest(_REST_S)
        except RobotkitError as error:
            _LOG.warning("the Franka arm did not take the last stop: %s", error)
        link.close()

    def _measure(self) -> Measurement:
        """The newest packet; about 30 microseconds while the arm is controlled, up to 1 ms otherwise."""
        link, fault, clearings = self._require_link(), self.machine.fault, self.machine.clearings
        if fault is not None and fault is not self._cleared and isinstance(fault.error, ConnectionFailed):
            raise ConnectionFailed(fault.error.message)  # a new one: an error that is raised again and again grows
        state, jacobian = link.measure()
        joints, velocities, pose = state.q, state.dq, pose_of(state)
        if not math.isfinite(joints.sum() + velocities.sum() + pose.sum()):
            raise DeviceFault("the Franka arm measures what is no number; restart the control box")
        is_in_control = link.is_in_control
        if not is_in_control and (names := link.names_of(state)):
            self._latch(self._arm_fault(Fault.named(names)), clearings)
        return Measurement(
            stamp_s=self._stamp(state),
            tcp_pose_in_base=pose,
            tcp_twist_in_base=jacobian @ velocities,
            # libfranka counts what the arm exerts on the world as positive.
            wrench_in_tcp=-state.K_F_ext_hat_K,
            joint_positions_rad=joints,
            joint_velocities_rad_s=velocities,
            jacobian_in_base=jacobian,
            control_success_rate=state.control_command_success_rate if is_in_control else 1.0,
        )

    def _measure_just_now(self) -> Measurement:
        """Measure the arm now.

        While a motion runs, wait for one packet more: the first that is seen after a pause may have come at its
        beginning.
        """
        link = self._require_link()
        if link.is_in_control:
            self._await_packet(link)
        return super()._measure_just_now()

    def _await_packet(self, link: FrankaLink) -> None:
        seen_s, end_s = link.read().time.to_sec(), time.monotonic() + _PACKET_S
        for looks in itertools.count(1):
            if link.read().time.to_sec() != seen_s:
                return
            if looks >= _PACKET_POLLS and time.monotonic() >= end_s:
                raise StaleState(f"the Franka control box has sent no packet for {_PACKET_S:g} s; check its cable")
            time.sleep(_PACKET_PERIOD_S)

    def _follow(self, command: RobotCommand) -> RobotCommand:
        """Make the pose the target of the impedance law, or its first one when the arm still brakes."""
        assert isinstance(command, PoseCommand)
        link = self._require_link()
        if self._tracking is not None:
            self._tracking.approach(command.tcp_pose_in_base)
            return command
        self._next_pose = command.tcp_pose_in_base
        if not link.is_in_control:
            self._begin(link)
        return command

    def _hold(self) -> None:
        """Make the measured pose the target, without the filter's transition; brake a joint motion before."""
        link = self._require_link()
        self._next_pose = None
        if self._tracking is not None:
            self._tracking.hold()
        elif link.is_in_control:
            link.brake()
            self._begin_at_rest(link)
        else:
            self._begin(link)

    def _halt(self) -> None:
        """Brake at once; at rest the arm's own controller holds it."""
        self._next_pose = None
        self._end_tracking()
        if self._link is not None:
            self._link.brake()

    def _set_compliance(self, params: ComplianceParams) -> None:
        """Clips are symmetric here: the tighter side of each axis counts. The integral gains have no effect."""
        for text in impedance.departures(params):
            _LOG.warning(text)
        if self._tracking is not None:
            self._tracking.set_compliance(params)

    def _travel(self, goal_rad: np.ndarray, travel: Travel) -> None:
        """Move along a jerk-limited joint path, and wait until the arm stands at its end."""
        link = self._require_link()
        with travel.moving():
            self._end_tracking()
            link.brake()
        link.wait_for_rest(_REST_S, lambda: not travel.is_over)
        self._raise_fault(travel)  # who ended it has braked
        try:
            with travel.moving():
                factor = self._dynamics_factor(goal_rad, travel.rate_max_hz)
                link.start(franky.JointMotion(franky.JointState(goal_rad), relative_dynamics_factor=factor))
            while link.is_in_control and not travel.wait(_POLL_PERIOD_S):
                self._notice_fault()
            self._raise_fault(travel)
            wait_until_settled(link, goal_rad, self._options.joint_tolerance_rad, travel)
        finally:
            if travel.is_over:
                self._end_interrupted(link)

    def _dynamics_factor(self, goal_rad: np.ndarray, rate_max_hz: float) -> float:
        """The configured share of the arm's dynamics, or less where the path would be done too fast with it."""
        shares = np.abs(goal_rad - self._require_link().read().q) / joint_limits(self._options)[2]
        slowest = float(shares.max())
        allowed = rate_max_hz * slowest if slowest > 0.0 else 1.0
        return min(self._options.joint_relative_dynamics, max(allowed, _DYNAMICS_MIN))

    def _clear_faults(self) -> None:
        link = self._require_link()
        fault = self.machine.fault
        if not link.is_open or (fault is not None and isinstance(fault.error, ConnectionFailed)):
            link.open()
        link.wait_for_rest(_REST_S)
        link.outcome()  # what ended the last motion is what is cleared now
        link.clear_faults()
        link.configure()
        self.spec = with_tool(self.spec, link.read())
        self._cleared = fault

    def _notice_fault(self) -> None:
        """Latch it with the lock held in which it was looked for: a motion tells only once how it ended."""
        link = self._link
        if link is None or (link.is_in_control and (self.machine.fault is not None or not link.is_silent)):
            return
        with self.machine.lock:
            if link is not self._link or (link.is_in_control and not link.is_silent):
                return
            fault = link.outcome()
            if self._tracking is not None:
                self._end_tracking()
                fault = fault or Fault.named(("motion_ended",))
            if fault is not None:
                _LOG.error("%s", fault.error)
                self._latch(replace(self._arm_fault(fault), is_reported=True))

    def _begin(self, link: FrankaLink) -> None:
        """Let the impedance law take over an arm that stands."""
        link.require_configured()
        self._tracking = ImpedanceTracking(link, self._options, self._compliance)
        pose, self._next_pose = self._next_pose, None
        if pose is not None:
            self._tracking.approach(pose)

    def _begin_at_rest(self, link: FrankaLink) -> None:
        """Let the impedance law take over when the arm has come to rest, unless something else has happened by then."""
        clearings = self.machine.clearings

        def is_needed() -> bool:
            is_free = link is self._link and self._tracking is None
            return is_free and self.machine.mode in ("holding", "tracking")

        def begin() -> None:
            try:
                link.wait_for_rest(_REST_S, is_needed)
                self._notice_fault()
                with self.machine.lock:
                    if is_needed() and not link.is_in_control:
                        with self.machine.calls.under_way("hold"):
                            self._begin(link)
            except Exception as error:  # nobody else knows that it does not hold
                fault = self._fault_of_driver(error, "hold")
                self._latch(self.machine.fault_of((fault.code,), fault), clearings)

        threading.Thread(target=begin, name="franka-rest", daemon=True).start()

    def _end_interrupted(self, link: FrankaLink) -> None:
        """Bring the motion of a travel that lost its right to move to rest, if nothing else has done so."""
        with self.machine.lock:
            if link is self._link and self._tracking is None and self.machine.mode != "travelling":
                link.brake()
                if self.machine.mode in ("holding", "tracking"):
                    self._begin_at_rest(link)

    def _end_tracking(self) -> None:
        tracking, self._tracking = self._tracking, None
        if tracking is not None:
            tracking.end()

    def _raise_fault(self, travel: Travel) -> None:
        """Raise the fault that ended the motion of `travel`, or `MotionFailed` when something else did."""
        self._notice_fault()
        fault = self.machine.fault
        if fault is not None:
            raise type(fault.error)(fault.error.message) from fault.error
        travel.require()

    def _require_link(self) -> FrankaLink:
        if self._link is None:
            self.require_connected()
        assert self._link is not None
        return self._link

    def _arm_fault(self, fault: Fault) -> ArmFault:
        return self.machine.fault_of(fault.names, fault.error)

    def _stamp(self, state: franky.RobotState) -> float:
        """The cell's time at which this packet was first seen, so that a silent arm's state grows old."""
        packet_s = state.time.to_sec()
        if packet_s != self._packet_s:
            self._packet_s = packet_s
            self._stamp_s = self.context.clock.now_s()
        return self._stamp_s
