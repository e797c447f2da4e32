"""The compiled laws equal their numpy twins, and what they are built of equals numpy and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from robotkit import ComplianceParams
from robotkit.spatial import wxyz_from_xyzw, xyzw_from_wxyz
from sims.controllers import linear, rotation
from sims.controllers.impedance import impedance_record, impedance_torque, set_compliance, start_impedance
from sims.controllers.joint import joint_record, joint_torque, start_joint
from sims.controllers.opspace import opspace_params, opspace_torque
from sims.controllers.records import ARM, TARGET, WORK, record
from tests.sims import twins

SEEDS = range(10)


def matrix_of(quaternion_wxyz):
    return Rotation.from_quat(xyzw_from_wxyz(quaternion_wxyz)).as_matrix()


def arm_of(plant):
    arm = record(ARM)
    arm["q"], arm["dq"], arm["jacobian"], arm["inertia"] = plant.q, plant.dq, plant.J, plant.M
    arm["bias"], arm["position"], arm["rotation"] = plant.bias, plant.position, plant.rotation.as_matrix().ravel()
    return arm


def target_of(position, turn, joints):
    target = record(TARGET)
    target["position"], target["quaternion"], target["joints"] = position, wxyz_from_xyzw(turn.as_quat()), joints
    return target


@pytest.mark.parametrize("seed", SEEDS)
def test_operational_space_equals_its_twin(seed):
    rng = np.random.default_rng(seed)
    plant = twins.random_plant(rng)
    position, turn, rest = rng.uniform(-0.5, 0.5, 3), Rotation.random(random_state=rng), rng.uniform(-1, 1, 7)
    params, work = opspace_params(150.0, 80.0, 0.7, 2.0), record(WORK)
    opspace_torque(arm_of(plant), target_of(position, turn, rest), params, work)
    kp = np.repeat((150.0, 80.0), 3)
    twin = twins.operational_space(plant, position, turn, rest, kp, 1.4 * np.sqrt(kp), 2.0, 1.4 * np.sqrt(2.0))
    np.testing.assert_allclose(work["torque"][0], twin, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_impedance_equals_its_twin_over_many_periods(seed):
    rng = np.random.default_rng(seed)
    plant = twins.random_plant(rng)
    params = ComplianceParams(translational_ki=3.0, rotational_ki=2.0, nullspace_stiffness_nm_rad=0.5)
    law, work, rest = impedance_record(0.001), record(WORK), rng.uniform(-1, 1, 7)
    set_compliance(law, params)
    turn = plant.rotation * Rotation.from_rotvec(rng.uniform(-0.3, 0.3, 3))
    target = target_of(plant.position + rng.uniform(-0.05, 0.05, 3), turn, rest)
    start_impedance(arm_of(plant), target, law)
    twin = twins.Impedance(
        stiffness=np.repeat((2000.0, 150.0), 3), damping=np.repeat((89.0, 7.0), 3), ki=np.repeat((3.0, 2.0), 3),
        null_stiffness=0.5, joint1_factor=100.0, clip_min=law["clip_min"][0], clip_max=law["clip_max"][0],
        position=plant.position, rotation=plant.rotation, rest=rest,
    )  # fmt: skip
    for _ in range(100):
        impedance_torque(arm_of(plant), target, law, work)
        expected = twin.step(plant, target["position"][0], turn)
        np.testing.assert_allclose(work["torque"][0], expected, rtol=1e-9, atol=1e-9)
        plant.q, plant.dq = plant.q + 0.001 * plant.dq, 0.99 * plant.dq


def test_impedance_filters_its_gains_and_keeps_its_time_constant_at_any_period():
    arm, target, work = arm_of(twins.random_plant(np.random.default_rng(0))), record(TARGET), record(WORK)
    target["quaternion"] = (1.0, 0.0, 0.0, 0.0)
    stiffness = []
    for period_s in (0.001, 0.002, 0.004):
        law = impedance_record(period_s)
        start_impedance(arm, target, law)
        set_compliance(law, ComplianceParams(translational_stiffness_n_m=1000.0))
        for _ in range(round(0.2 / period_s)):
            impedance_torque(arm, target, law, work)
        stiffness.append(law["gains"][0, 0])
    np.testing.assert_allclose(stiffness, 1000.0 + 1000.0 * 0.995**200, rtol=1e-6)


def test_joint_law_limits_the_speed_of_its_reference():
    plant = twins.random_plant(np.random.default_rng(1))
    arm, law, work = arm_of(plant), joint_record(0.002, np.full(7, 2.0)), record(WORK)
    coasting = plant.dq / 40.0
    target = target_of(np.zeros(3), Rotation.identity(), plant.q + coasting + 0.006)
    start_joint(arm, law)
    for step_rad in (0.004, 0.006, 0.006):
        joint_torque(arm, target, law, work)
        expected = plant.M @ (1600.0 * (coasting + step_rad) - 80.0 * plant.dq) + plant.bias
        np.testing.assert_allclose(work["torque"][0], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_linear_algebra_equals_numpy(seed):
    rng = np.random.default_rng(seed)
    root, vector = rng.normal(size=(6, 6)), rng.normal(size=6)
    matrix, lower, solved = root @ root.T, np.zeros((6, 6)), vector.copy()
    assert linear.cholesky(matrix, lower) == pytest.approx(np.linalg.det(matrix), rel=1e-9)
    linear.solve_lower(lower, solved)
    linear.solve_lower_transposed(lower, solved)
    np.testing.assert_allclose(matrix @ solved, vector, atol=1e-7)
    truncated = vector.copy()
    linear.truncated_pseudo_inverse(matrix, 0.1, truncated)
    np.testing.assert_allclose(truncated, np.linalg.pinv(matrix, rcond=0.1, hermitian=True) @ vector, atol=1e-9)


def test_cholesky_reports_an_indefinite_matrix():
    assert linear.cholesky(np.diag([1.0, -1.0, 1.0]), np.zeros((3, 3))) == 0.0


@pytest.mark.parametrize("seed", SEEDS)
def test_rotations_equal_scipy(seed):
    a, b = Rotation.random(2, random_state=np.random.default_rng(seed))
    quaternion, error = np.zeros(4), np.zeros(3)
    rotation.quaternion_of(a.as_matrix().ravel(), quaternion)
    np.testing.assert_allclose(matrix_of(quaternion), a.as_matrix(), atol=1e-12)
    rotation.rotation_error(quaternion, wxyz_from_xyzw(b.as_quat()), error)
    np.testing.assert_allclose(error, (a * b.inv()).as_rotvec(), atol=1e-12)
    rotation.slerp(quaternion, wxyz_from_xyzw(b.as_quat()), 0.3)
    expected = Slerp([0.0, 1.0], Rotation.concatenate([a, b]))(0.3)
    np.testing.assert_allclose(matrix_of(quaternion), expected.as_matrix(), atol=1e-12)


@pytest.mark.parametrize("axis", np.vstack([np.eye(3), [[0.6, 0.8, 0.0]]]))
def test_half_turns_have_quaternions_too(axis):
    turn, quaternion = Rotation.from_rotvec(np.pi * axis), np.zeros(4)
    rotation.quaternion_of(turn.as_matrix().ravel(), quaternion)
    np.testing.assert_allclose(matrix_of(quaternion), turn.as_matrix(), atol=1e-12)
