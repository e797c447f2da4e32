"""A machine that does anything to a cell in any order, and invariants that hold whatever it does.

Each run of the default tests tries more than 10 000 rules; `make test-slow` tries a hundred times as many.
"""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

import robotkit as rk
from robotkit.spatial import distance_between, integrate_delta
from robotkit.workspace import distance_outside
from tests.faults.rigs import RIGS, Rig

STILL_M = {"fake": 1e-6, "plugin": 1e-6, "remote": 1e-6, "mujoco": 0.01, "mujoco-impedance": 0.01, "franka": 0.03}
"""How far an arm that was told to stand may still move: what it needs to brake, and the play of its impedance."""
BRAKING_S = 0.15
"""In which an arm that begins to hold has come to rest."""
numbers = st.floats(-0.3, 0.3)


class CellMachine(RuleBasedStateMachine):
    """Drives one rig; subclasses say which."""

    body: str
    rules = 0

    def __init__(self) -> None:
        super().__init__()
        self.rig: Rig = RIGS[self.body]()
        self.still_m = STILL_M[self.body]
        self.violations: list[AssertionError] = []
        self.rig.cell.connect()
        self.rig.robot.recover()
        self.rig.cell.reset(seed=0)
        self.start = self._tool()
        self.has_commanded = False
        self.stopped_at: np.ndarray | None = None
        self.silent_since_s: float | None = None
        self.silent_at: np.ndarray | None = None
        self.travels = False
        self.rig.clock.observe = self._look

    def teardown(self) -> None:
        self.rig.clock.observe = lambda: None
        self.rig.cell.disconnect()
        self.rig.close()

    @rule(dx=numbers, dy=numbers, dz=numbers, turn=numbers, share=st.sampled_from([0.05, 0.2, 1.0]))
    def send(self, dx, dy, dz, turn, share):
        pose = integrate_delta(self._tool(), share * np.array((dx, dy, dz)), share * np.array((0, 0, turn)))
        self._try(lambda: self.rig.robot.send(rk.PoseCommand(tcp_pose_in_base=pose)), commands=True)

    @rule(dx=numbers, dz=numbers, opening=st.floats(0, 1), period_s=st.sampled_from([0.0, 0.05, 0.1, 0.3]))
    def step(self, dx, dz, opening, period_s):
        pose = integrate_delta(self._tool(), 0.2 * np.array((dx, 0.0, dz)), np.zeros(3))
        command, gripper = rk.PoseCommand(tcp_pose_in_base=pose), rk.GripperCommand(position=opening)
        self._try(lambda: self.rig.cell.step(command, gripper, period_s), commands=True)

    @rule(joint=st.integers(0, 6), way=numbers)
    def send_joints(self, joint, way):
        target = self.rig.joints()
        target[joint] += way
        self._try(lambda: self.rig.robot.send(rk.JointCommand(joint_positions_rad=target)), commands=True)

    @rule(joint=st.integers(0, 6), way=st.floats(-2.0, 2.0))
    def move(self, joint, way):
        target = self.rig.joints()
        target[joint] += way
        self.travels = True
        self._try(lambda: self.rig.robot.move_to_joint_positions(target), commands=True)
        self.travels = False
        self.silent_since_s = None

    @rule(junk=st.sampled_from(["nan", "short", "crooked", "far", "text"]))
    def send_junk(self, junk):
        pose = self._tool()
        bad = {
            "nan": np.full(7, np.nan), "short": pose[:5], "crooked": 2.0 * pose,
            "far": pose + np.array((5.0, 0, 0, 0, 0, 0, 0)), "text": np.array(["a"] * 7),
        }[junk]  # fmt: skip
        with pytest.raises((rk.RobotkitError, TypeError)):
            self.rig.robot.send(rk.PoseCommand.unchecked(kind="pose", tcp_pose_in_base=bad))

    @rule()
    def hold(self):
        self._try(self.rig.robot.hold, commands=False)

    @rule()
    def stop(self):
        self.rig.robot.stop_for("a rule", "the machine")
        assert self.rig.body.machine.stop is not None

    @rule()
    def recover(self):
        stood = self.rig.body.machine.mode in ("stopped", "fault")
        if stood:
            self.rig.clock.advance(BRAKING_S)
        before = self._tool()
        if self._try(self.rig.robot.recover, commands=False):
            self.stopped_at = None
            self.silent_since_s = None
            if stood:
                assert distance_between(self._tool(), before) < self.still_m

    @rule(clip_mm=st.floats(0.0, 600.0), stiffness=st.floats(0.0, 3000.0))
    def compliance(self, clip_mm, stiffness):
        clip = (0.001 * clip_mm,) * 3
        try:
            params = rk.ComplianceParams(
                translational_stiffness_n_m=stiffness, translational_clip_max_m=clip,
                translational_clip_min_m=tuple(-c for c in clip),
            )  # fmt: skip
        except ValueError:
            assert clip_mm > 500.0
            return
        if clip_mm <= 20.0:
            self._try(lambda: self.rig.robot.set_compliance(params), commands=False)

    @precondition(lambda self: self.rig.break_arm is not None)
    @rule(name=st.sampled_from(["joint_reflex", "power_lost"]))
    def fault(self, name):
        self.rig.break_arm(name)

    @precondition(lambda self: self.rig.fake is not None)
    @rule(is_silent=st.booleans())
    def sensor(self, is_silent):
        self.rig.fake.inject_silence(is_silent)

    @precondition(lambda self: self.rig.fake is not None)
    @rule(force_n=st.sampled_from([0.0, 30.0, 90.0, float("nan")]))
    def touch(self, force_n):
        self.rig.fake.inject_wrench(np.array([0, 0, force_n, 0, 0, 0]))

    @rule(period_s=st.sampled_from([0.01, 0.1, 0.5]))
    def client_is_silent(self, period_s):
        self.rig.clock.advance(period_s)

    @rule(way_m=st.sampled_from([0.02, 0.05, 0.07]), silence_s=st.sampled_from([0.0, 0.1, 0.4, 1.0]))
    def work(self, way_m, silence_s):
        """What most of a robot's day is: all is well, it is asked to go somewhere, and perhaps forgotten there."""
        if self.rig.fake is not None:
            self.sensor(is_silent=False)
            self.touch(force_n=0.0)
        if self.rig.body.machine.mode in ("stopped", "fault"):
            self.recover()
        self.rig.clock.advance(0.1)
        pose = self._tool()
        middle = (self.rig.limits.workspace.position_min_m + self.rig.limits.workspace.position_max_m) / 2
        way = middle - pose[:3] + np.array((0, 1e-3, 0))
        pose[:3] += way_m * way / np.linalg.norm(way)
        self._try(lambda: self.rig.robot.send(rk.PoseCommand(tcp_pose_in_base=pose)), commands=True)
        if silence_s:
            self.rig.clock.advance(silence_s)

    @rule()
    def reconnect(self):
        if self.rig.fake is not None:
            self.touch(force_n=0.0)  # an arm that has measured nothing since it was connected has no state to show
        self.rig.cell.disconnect()
        with pytest.raises(rk.NotConnected):
            self.rig.robot.get_state()
        stop = self.rig.body.machine.stop  # an arm that cannot be held where it is measured is stopped as it is left
        if self.rig.fake is not None:
            self.sensor(is_silent=False)  # control begins where the arm is measured by now
        before_s = self.rig.clock.now_s()
        self.rig.cell.connect()
        assert self.rig.clock.now_s() >= before_s
        assert self.rig.body.machine.stop == stop, "no connection clears a stop"
        self.has_commanded, self.start, self.silent_since_s = False, self._tool(), None
        self.stopped_at = None if stop is None else self._tool()

    @invariant()
    def every_state_is_readable(self):
        CellMachine.rules += 1
        if self.violations:
            raise self.violations[0]
        _is_readable(self.rig.cell.get_state)
        state = self.rig.body.get_state()
        assert state.mode in ("holding", "tracking", "travelling", "stopped", "fault")
        assert (state.mode == "fault") == bool(state.faults)
        if state.mode == "stopped":
            assert state.stop is not None
            assert state.stop.cause

    def _look(self) -> None:
        """Keep what is wrong: behind a server it would come back as that server's error."""
        try:
            self._observe()
        except AssertionError as violation:
            self.violations.append(violation)

    def _observe(self) -> None:
        """What holds after each tick."""
        state, tool = self.rig.body.get_state(), self._tool()
        if not self.has_commanded:
            assert distance_between(tool, self.start) < self.still_m, "it moved before a command"
        outside_m, _ = distance_outside(tool, self.rig.limits.workspace)
        assert outside_m < self.rig.limits.measured_margin_m + 0.03, "it left its box"
        if state.mode in ("stopped", "fault"):
            if self.stopped_at is None:
                self.stopped_at = tool.copy()
            assert distance_between(tool, self.stopped_at) < 2 * self.still_m, "it moved while stopped"
        now_s = self.rig.clock.now_s()
        if self.silent_since_s is not None and not self.travels and now_s - self.silent_since_s > 0.2 + 0.02:
            assert state.mode != "tracking", "nobody commands it any more"
            if now_s - self.silent_since_s > 0.2 + BRAKING_S:
                if self.silent_at is None:
                    self.silent_at = tool.copy()
                assert distance_between(tool, self.silent_at) < self.still_m, "it moves by itself"

    def _try(self, call, *, commands: bool) -> bool:
        """Do it; whatever it raises is typed. A command that was accepted is a sign of life."""
        if self.rig.body.machine.mode in ("stopped", "fault") and self.stopped_at is None:
            self.stopped_at = self._tool()
        self.has_commanded |= commands
        before_s, silent_since_s, self.silent_since_s = self.rig.clock.now_s(), self.silent_since_s, None
        self.silent_at = None
        try:
            call()
        except rk.RobotkitError as error:
            self.silent_since_s = silent_since_s
            return _is_told(error)
        self.silent_since_s = before_s if commands else silent_since_s
        return True

    def _tool(self) -> np.ndarray:
        return self.rig.tool()


def _is_readable(get_state) -> None:
    with contextlib.suppress(rk.StaleState):
        get_state()


def _is_told(error: rk.RobotkitError) -> bool:
    assert len(error.message) > 15
    return False


def run(body: str, examples: int) -> None:
    machine = type(f"Machine_{body}", (CellMachine,), {"body": body})
    # Shrinking a failure of a simulation takes longer than reading it.
    chosen = settings(
        max_examples=examples, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(machine, settings=chosen)


EXAMPLES = {"fake": 120, "plugin": 120, "mujoco": 15, "mujoco-impedance": 15, "remote": 15, "franka": 3}


@pytest.mark.parametrize("body", RIGS)
def test_no_order_of_events_moves_an_arm_outside_its_limits(body):
    run(body, EXAMPLES[body])


def test_enough_rules_were_tried():
    if CellMachine.rules == 0:
        pytest.skip("counts the rules of the tests above, which did not run")
    assert CellMachine.rules >= 10_000


@pytest.mark.slow
@pytest.mark.parametrize("body", RIGS)
def test_no_order_of_events_moves_an_arm_outside_its_limits_for_long(body):
    run(body, 50 * EXAMPLES[body])
