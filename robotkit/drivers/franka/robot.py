"""`FrankaRobot`: an FR3 or a Panda under Cartesian impedance control."""

from __future__ import annotations

import logging
import threading

import franky
import numpy as np

from robotkit.devices import BaseRobotServer, CellContext
from robotkit.drivers.franka import impedance
from robotkit.drivers.franka.config import FrankaRobotConfig, robot_spec
from robotkit.drivers.franka.link import Fault, FrankaLink
from robotkit.drivers.franka.tracking import ImpedanceTracking, pose_of
from robotkit.errors import (
    CommandRejected,
    ConnectionFailed,
    JointLimitExceeded,
    MotionFailed,
    RobotkitError,
    RobotStopped,
    Unsupported,
)
from robotkit.schema import ComplianceParams, PoseCommand, RobotCommand, RobotMode, RobotState

_LOG = logging.getLogger(__name__)
_REST_S = 3.0
"""A braked arm stands within this time: franky's own brake gives up after 2 s."""
_SETTLE_S = 2.0
"""In the arm's own time; its controller creeps over the last hundredths of a radian."""
_STILL_RAD_S = 0.02
_NAP_S = 0.005


class FrankaRobot(BaseRobotServer):
    """The 1 kHz law runs in franky's native thread; this class sets its target and watches over it.

    Nothing is cleared by itself: after a reflex, a lost connection or `stop()` the arm holds until `recover()`.
    """

    Config = FrankaRobotConfig

    def __init__(self, config: FrankaRobotConfig, context: CellContext) -> None:
        super().__init__(config, context)
        self._options = config
        self.spec = robot_spec(config)
        self._compliance = config.compliance
        self._lock = threading.RLock()
        self._interrupt = threading.Event()
        self._link: FrankaLink | None = None
        self._tracking: ImpedanceTracking | None = None
        self._fault: Fault | None = None
        self._is_stopped = self._is_travelling = False
        self._packet_s = self._stamp_s = float("-inf")

    @property
    def compliance(self) -> ComplianceParams:
        """The impedance parameters in force."""
        return self._compliance

    @property
    def is_connected(self) -> bool:
        """True between `connect()` and `disconnect()`."""
        return self._link is not None

    def connect(self) -> None:
        """Connect and hold the measured pose; an arm that is in a fault is connected, and waits for `recover()`."""
        with self._lock:
            if self._link is not None:
                return
            link = FrankaLink(self._options)
            names = link.faults()
            self._fault = Fault.named(names) if names else None
            self._is_stopped = False
            if self._fault is None:
                self._tracking = self._track(link)
            self._link = link

    def disconnect(self) -> None:
        """Bring the arm to rest and close the connection."""
        self._interrupt.set()
        with self._lock:
            link = self._link
            if link is None:
                return
            try:
                self._brake(link)
                link.wait_for_end(_REST_S)
            except RobotkitError as error:
                _LOG.warning("the Franka arm did not take the last stop: %s", error)
            link.close()
            self._link = self._fault = None

    def get_state(self) -> RobotState:
        """The newest packet of the arm; about 30 microseconds while it is controlled, up to 1 ms otherwise.

        Raises:
            NotConnected: before `connect()`.
            ConnectionFailed: the arm fell silent; `recover()` connects again.
        """
        link = self._require_link()
        self._notice_end(link)
        if self._fault is not None and self._fault.is_connection_lost:
            raise self._fault.error
        state, jacobian = self._measure(link)
        joints, velocities = state.q, state.dq
        return RobotState.trusted(
            stamp_s=self._stamp(state),
            tcp_pose_in_base=pose_of(state),
            tcp_twist_in_base=jacobian @ velocities,
            # libfranka counts what the arm exerts on the world as positive.
            wrench_in_tcp=-state.K_F_ext_hat_K,
            joint_positions_rad=joints,
            joint_velocities_rad_s=velocities,
            jacobian_in_base=jacobian,
            mode=self._mode(velocities),
            faults=() if self._fault is None else self._fault.names,
            fault_since_s=None,
            stop=None,
            target_epoch=0,
            control_success_rate=state.control_command_success_rate if link.is_in_control else 1.0,
        )

    def send(self, command: RobotCommand) -> RobotCommand:
        """Make the pose the target of the impedance law."""
        if not isinstance(command, PoseCommand):
            raise Unsupported("the Franka driver takes pose commands only; use move_to_joint_positions for joints")
        with self._lock:
            self._require_ready().approach(command.tcp_pose_in_base)
        return command

    def hold(self) -> None:
        """Make the measured pose the target, without the filter's transition."""
        with self._lock:
            self._require_ready().hold()

    def set_compliance(self, params: ComplianceParams) -> None:
        """Change the impedance law, also while moving; a stopped arm keeps the parameters for later.

        Clips are symmetric here: the tighter side of each axis counts. The integral gains have no effect.
        """
        self._require_link()
        for text in impedance.departures(params):
            _LOG.warning(text)
        with self._lock:
            self._compliance = params
            if self._tracking is not None:
                self._require_ready().set_compliance(params)

    def move_to_joint_positions(self, positions_rad: np.ndarray) -> None:
        """Move along a jerk-limited joint path, wait until the arm has arrived and stands, then hold it there.

        Raises:
            DeviceFault: a reflex ended the motion.
        """
        goal = np.array(positions_rad, dtype=np.float64)
        with self._lock:
            self._require_ready()
            self._require_in_range(goal)
            link = self._require_link()
            self._interrupt.clear()
            self._brake(link)
            self._is_travelling = True
        try:
            self._travel(link, goal)
        finally:
            self._is_travelling = False

    def stop(self) -> None:
        """Brake at once, from any thread; at rest the arm's own controller holds it."""
        self._is_stopped = True
        self._interrupt.set()
        with self._lock:
            if self._link is not None and self._fault is None:
                self._brake(self._link)

    def recover(self) -> None:
        """Clear a stop or a fault, connect again if the connection was lost, and hold the measured pose."""
        with self._lock:
            link = self._require_link()
            self._notice_end(link)
            if self._fault is None and self._tracking is not None:
                self._tracking.hold()
                return
            if self._fault is not None and self._fault.is_connection_lost:
                link.open()
            if self._fault is None:
                link.wait_for_end(_REST_S)
            link.clear_faults()
            self._tracking = self._track(link)
            self._fault, self._is_stopped = None, False

    def _measure(self, link: FrankaLink) -> tuple[franky.RobotState, np.ndarray]:
        try:
            return link.measure()
        except ConnectionFailed as error:
            self._fault = Fault((error.code,), error)
            raise

    def _track(self, link: FrankaLink) -> ImpedanceTracking:
        link.configure()
        return ImpedanceTracking(link, self._options, self._compliance)

    def _brake(self, link: FrankaLink) -> None:
        tracking, self._tracking = self._tracking, None
        if tracking is not None:
            tracking.end()
        link.brake()

    def _travel(self, link: FrankaLink, goal: np.ndarray) -> None:
        link.wait_for_end(_REST_S)
        with self._lock:
            self._require_uninterrupted()
            factor = self._options.joint_relative_dynamics
            link.start(franky.JointMotion(franky.JointState(goal), relative_dynamics_factor=factor))
        while link.is_in_control:
            self._interrupt.wait(_NAP_S)
            if self._interrupt.is_set():
                break
        self._require_uninterrupted()
        error = self._settle(link, goal)
        with self._lock:
            self._require_uninterrupted()
            self._tracking = self._track(link)
        if error is not None:
            raise error

    def _settle(self, link: FrankaLink, goal: np.ndarray) -> MotionFailed | None:
        """Wait until the arm stands at `goal`; returns the error when it does not."""
        self._end_of_travel(link)
        start_s = link.read().time.to_sec()
        while True:
            state = link.read()
            off_rad = np.abs(state.q - goal)
            is_there = off_rad.max() <= self._options.joint_tolerance_rad
            if is_there and np.abs(state.dq).max() <= _STILL_RAD_S:
                return None
            if state.time.to_sec() - start_s > _SETTLE_S:
                return MotionFailed(
                    f"the joint motion ended {off_rad.max():.4f} rad from its goal at joint {off_rad.argmax() + 1} "
                    f"(allowed: {self._options.joint_tolerance_rad}), moving at {np.abs(state.dq).max():.3f} rad/s "
                    f"(allowed: {_STILL_RAD_S}) after {_SETTLE_S:g} s; the arm holds where it is"
                )
            self._interrupt.wait(_NAP_S)

    def _end_of_travel(self, link: FrankaLink) -> None:
        try:
            link.wait_for_end(_REST_S)
        except RobotkitError as error:
            self._fault = link.why_it_ended()
            raise error

    def _require_uninterrupted(self) -> None:
        if self._interrupt.is_set():
            raise MotionFailed("the joint motion was interrupted by stop() or disconnect() before it arrived")

    def _require_link(self) -> FrankaLink:
        self.require_connected()
        assert self._link is not None
        return self._link

    def _require_ready(self) -> ImpedanceTracking:
        link = self._require_link()
        self._notice_end(link)
        if self._is_stopped:
            raise RobotStopped("the Franka arm is stopped; call recover() when it is safe to move again")
        if self._fault is not None:
            raise self._fault.error
        if self._tracking is None or self._is_travelling:
            raise CommandRejected("a blocking joint motion is running; wait for it, or stop() it first")
        return self._tracking

    def _require_in_range(self, goal: np.ndarray) -> None:
        low, high = self.spec.joint_position_min_rad, self.spec.joint_position_max_rad
        if goal.shape != low.shape or not ((low <= goal) & (goal <= high)).all():
            raise JointLimitExceeded(f"joint target {goal.tolist()} is not within {low.tolist()} to {high.tolist()}")

    def _notice_end(self, link: FrankaLink) -> None:
        """Latch a fault when the impedance motion has ended although nobody ended it."""
        if self._tracking is None or link.is_in_control:
            return
        with self._lock:
            self._latch_end(link)

    def _latch_end(self, link: FrankaLink) -> None:
        tracking = self._tracking
        if tracking is None or link.is_in_control:
            return
        self._tracking = None
        tracking.end()
        self._fault = link.why_it_ended()
        _LOG.error("%s", self._fault.error)

    def _stamp(self, state: franky.RobotState) -> float:
        """The cell's time at which this packet was first seen, so that a silent arm's state grows old."""
        packet_s = state.time.to_sec()
        if packet_s != self._packet_s:
            self._packet_s = packet_s
            self._stamp_s = self.context.clock.now_s()
        return self._stamp_s

    def _mode(self, velocities: np.ndarray) -> RobotMode:
        if self._fault is not None:
            return "fault"
        if self._is_stopped:
            return "stopped"
        return "tracking" if self._is_travelling or velocities @ velocities > _STILL_RAD_S**2 else "holding"
