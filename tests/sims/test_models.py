"""Laws of the models: what they weigh, how wide they open, and what happens without the optional meshes."""

from __future__ import annotations

import sys
import types

import mujoco
import numpy as np
import pytest

import robotkit as rk
from sims.models import arm_spec
from sims.models.masses import MESH_MASSES
from sims.models.menagerie import MenagerieUnavailable
from sims.models.panda import JOINT_NAMES, LINKS, add_panda
from sims.models.robotiq_2f85 import add_finger_actuator, add_robotiq_2f85


@pytest.mark.parametrize("masses", list(MESH_MASSES))
def test_the_primitive_model_weighs_what_its_tables_say(masses):
    model = arm_spec("primitive", masses).compile()
    arm_kg = sum(model.body(link.name).mass[0] for link in LINKS)
    assert arm_kg == pytest.approx(sum(link.mass_kg for link in LINKS))
    assert model.body("base_mount").mass[0] == pytest.approx(MESH_MASSES[masses].mount_kg)
    assert (model.nv, model.nu, model.nq) == (15, 8, 15)


def test_the_two_mass_sets_differ_only_in_what_meshes_weigh():
    masses = [arm_spec("primitive", name).compile().body_mass for name in MESH_MASSES]
    assert np.count_nonzero(masses[0] != masses[1]) == 3


def test_the_open_gripper_is_as_wide_as_its_data_sheet_says(cell):
    state = cell.gripper.get_state()
    assert state.width_m == pytest.approx(cell.gripper.spec.width_max_m, abs=1e-3)
    assert state.position == 1.0


def test_menagerie_without_its_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "mujoco_menagerie", None)
    with pytest.raises(rk.MissingExtra, match=r"robotkit\[menagerie\]"):
        rk.make_workcell("mujoco-pick-cube", **{"world.model": "menagerie"})


def _menagerie_panda():
    """What Menagerie's Panda differs in: position servos, a key frame, a light, another integrator."""
    spec = mujoco.MjSpec()
    spec.compiler.degree, spec.compiler.autolimits = False, True
    add_panda(spec)
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    for index, joint in enumerate(JOINT_NAMES, start=1):
        servo = spec.add_actuator(name=f"actuator{index}", target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        servo.set_to_position(kp=4500.0)
        servo.forcerange, servo.forcelimited = (-87, 87), True
    spec.add_key(name="home", qpos=np.zeros(7))
    spec.worldbody.add_light(name="top")
    return spec


def _menagerie_gripper():
    """What Menagerie's gripper differs in: elliptic cones, armature on passive joints, a base above the flange."""
    spec = mujoco.MjSpec()
    spec.compiler.degree, spec.compiler.autolimits = False, True
    add_robotiq_2f85(spec, spec.worldbody, MESH_MASSES["3.x"])
    add_finger_actuator(spec)
    spec.option.cone, spec.option.impratio = mujoco.mjtCone.mjCONE_ELLIPTIC, 10
    mount = spec.body("base_mount")
    mount.pos, mount.quat = (0, 0, 0.007), (1, 0, 0, 0)
    for joint in spec.joints:
        if "driver" not in joint.name:
            joint.armature = 0.001
    return spec


class _Unreachable(Exception):
    """Menagerie's own error when a download fails."""


def _install_menagerie(monkeypatch, specs):
    def get(name):
        def spec(variant):
            if name not in specs:
                raise _Unreachable("Name or service not known")
            return specs[name]()

        return types.SimpleNamespace(spec=spec)

    monkeypatch.setitem(sys.modules, "mujoco_menagerie", types.SimpleNamespace(get=get, MenagerieError=_Unreachable))


def _end_of_a_motion(**overrides):
    with rk.make_workcell("mujoco-pick-cube", **overrides) as cell:
        target = cell.reset().robot.tcp_pose_in_base + np.array((0.05, 0.05, -0.05, 0, 0, 0, 0))
        for _ in range(20):
            cell.step(rk.PoseCommand(tcp_pose_in_base=target), rk.GripperCommand(position=0.5), 0.02)
        return cell.world.data.qpos.copy()


def test_menagerie_parts_move_like_the_primitive_ones(monkeypatch):
    parts = {"franka_emika_panda": _menagerie_panda, "robotiq_2f85": _menagerie_gripper}
    _install_menagerie(monkeypatch, parts)
    with_parts = _end_of_a_motion(**{"world.model": "menagerie"})
    np.testing.assert_allclose(with_parts, _end_of_a_motion(**{"world.masses": "3.x"}), atol=1e-9)


def test_menagerie_without_its_files_says_how_to_get_them(monkeypatch):
    _install_menagerie(monkeypatch, {})
    with pytest.raises(MenagerieUnavailable, match="MENAGERIE_ROOT"):
        rk.make_workcell("mujoco-pick-cube", **{"world.model": "menagerie"})
