"""Laws of the USB plug and its port: a grasp holds, an aligned plug goes in to its overmould and stays there."""

from __future__ import annotations

import numpy as np
import pytest

import robotkit as rk
from robotkit.spatial import relative_pose
from sims.scenes.usb_pickup_insertion import OVERMOULD_HALF_SIZE_M, PORT_HOME, SHELL_HALF_SIZE_M
from tests.sims.scene_cells import QUARTER_TURN, STIFF, approach, push, require_little_penetration

CELL = "mujoco-usb-pickup-insertion"
ABOVE_PLUG_M = 0.011
IN_PORT_M = PORT_HOME[:3] + np.array((0.0, OVERMOULD_HALF_SIZE_M[1], ABOVE_PLUG_M))
"""The tool, where it holds a plug that is in."""
OUTWARDS = np.array((0.0, 1.0, 0.0))


def go(cell, position_m, opening, duration_s=1.5):
    return approach(cell, position_m, duration_s, QUARTER_TURN, opening)


def grasp(cell):
    state = cell.reset(0)
    cell.robot.set_compliance(STIFF)
    over_m = state.poses["plug"].pose_in_base[:3] + np.array((0.0, 0.0, ABOVE_PLUG_M))
    go(cell, over_m, 1.0)
    return go(cell, over_m, 0.0, 0.8)


def insert(cell, beside_m=(0.0, 0.0, 0.0)):
    """Grasp the plug, bring it before the port or beside that, and push until something stops it."""
    grasp(cell)
    before_m = IN_PORT_M + 0.025 * OUTWARDS + np.array(beside_m)
    go(cell, before_m + 0.01 * OUTWARDS, 0.0, 2.5)
    go(cell, before_m, 0.0)
    return go(cell, before_m - 0.028 * OUTWARDS, 0.0, 2.0)


def before_port_m(state):
    """How far the overmould is before the hub's face."""
    plug = relative_pose(state.poses["port"].pose_in_base, state.poses["plug"].pose_in_base)
    return plug[2] - OVERMOULD_HALF_SIZE_M[1]


@pytest.fixture
def cell():
    with rk.make_workcell(CELL) as built:
        yield built


def test_a_grasped_plug_is_lifted(cell):
    assert grasp(cell).gripper.is_grasping
    require_little_penetration(cell)
    lifted = go(cell, (0.5, 0.0, 0.1), 0.0, 2.5)
    assert lifted.gripper.is_grasping
    assert lifted.poses["plug"].pose_in_base[2] == pytest.approx(0.1 - ABOVE_PLUG_M, abs=4e-3)


def test_an_aligned_plug_goes_in_to_its_overmould_and_stays_there_when_it_is_released(cell):
    assert before_port_m(insert(cell)) == pytest.approx(0.0, abs=5e-4)
    require_little_penetration(cell)
    go(cell, cell.get_state().robot.tcp_pose_in_base[:3], 1.0)
    left = go(cell, (0.5, 0.0, 0.1), 1.0, 2.5)
    assert before_port_m(left) < 1.5e-3
    assert not left.gripper.is_grasping


def test_a_plug_in_its_port_resists_a_push_and_the_hub_does_not_give_way(cell):
    insert(cell)
    cell.robot.set_compliance(rk.ComplianceParams(translational_clip_min_m=(-0.004,) * 3))  # 8 N
    state = push(cell, -0.03 * OUTWARDS)
    assert before_port_m(state) == pytest.approx(0.0, abs=5e-4)
    np.testing.assert_allclose(state.poses["port"].pose_in_base, PORT_HOME, atol=1e-12)


@pytest.mark.parametrize("beside_m", [(0.003, 0.0, 0.0), (0.0, 0.0, 0.003), (0.02, 0.0, 0.0)])
def test_a_plug_beside_the_port_stays_out(cell, beside_m):
    assert before_port_m(insert(cell, beside_m)) > 1.8 * SHELL_HALF_SIZE_M[1]
