"""The compiled operational-space law gives the torques of SERL's, in 240 states and 6 settings."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sims.controllers.opspace import opspace_params, opspace_torque
from sims.controllers.records import ARM, TARGET, WORK, record
from tests.golden import recordings

TOLERANCE_NM = 1e-9
OUR_NAMES = {
    "pos_gains": "position_gain",
    "ori_gains": "orientation_gain",
    "damping_ratio": "damping_ratio",
    "nullspace_stiffness": "null_gain",
    "max_pos_acceleration": "max_linear_acceleration",
    "max_ori_acceleration": "max_angular_acceleration",
    "gravity_comp": "compensate_gravity",
}


def _params(setting):
    return opspace_params(**{OUR_NAMES[k]: np.array(v) if isinstance(v, list) else v for k, v in setting.items()})


@pytest.mark.parametrize("version", recordings.versions("opspace_serl"))
def test_torques_equal_the_recorded_ones(version):
    golden = recordings.load("opspace_serl", version)
    settings = [_params(setting) for setting in json.loads(str(golden["variants"]))]
    arm, target, work = record(ARM), record(TARGET), record(WORK)
    torques = np.empty_like(golden["tau"])
    for k, variant in enumerate(golden["variant"]):
        arm["q"], arm["dq"] = golden["qpos"][k, :7], golden["qvel"][k, :7]
        arm["jacobian"], arm["inertia"], arm["bias"] = golden["J"][k], golden["M"][k], golden["bias"][k]
        arm["position"], arm["rotation"] = golden["site_xpos"][k], golden["site_xmat"][k]
        target["position"], target["quaternion"] = golden["pos"][k], golden["quat"][k]
        target["joints"] = golden["joint"][k]
        opspace_torque(arm, target, settings[variant], work)
        torques[k] = work["torque"][0]
    assert golden["pinv_branch"].any(), "the recording should visit singular configurations"
    np.testing.assert_allclose(torques, golden["tau"], rtol=0.0, atol=TOLERANCE_NM)
