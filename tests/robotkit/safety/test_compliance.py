"""Laws of the bounds on the impedance law: each bound by itself, up to its value and not beyond."""

from __future__ import annotations

import math
import re

import pytest

import robotkit as rk
from robotkit.safety.compliance import compliance_excess, damping_ratio

LAW = rk.ComplianceParams(
    translational_stiffness_n_m=1000.0, translational_damping_ns_m=50.0, rotational_stiffness_nm=100.0,
    rotational_damping_nms_rad=2.0, translational_clip_min_m=(-0.01, 0, 0), translational_clip_max_m=(0.02, 0, 0),
    rotational_clip_min=(-0.1, 0, 0), rotational_clip_max=(0.05, 0, 0),
)  # fmt: skip


@pytest.mark.parametrize(("limit", "value", "message"), [
    ("max_contact_force_n", 20.0, r"contact force \(stiffness \* clip\) would be 20 N; at most 19\.98 N"),
    ("max_contact_torque_nm", 10.0, r"contact torque \(stiffness \* clip\) would be 10 Nm; at most 9\.99 Nm"),
    ("max_translational_stiffness_n_m", 1000.0, "the stiffness would be 1000 N/m; at most 999 N/m"),
    ("max_rotational_stiffness_nm", 100.0, r"rotational stiffness would be 100 Nm; at most 99\.9 Nm"),
])  # fmt: skip
def test_each_bound_is_reached_and_not_exceeded(limit, value, message):
    assert compliance_excess(LAW, rk.ComplianceLimits(**{limit: value})) is None
    said = compliance_excess(LAW, rk.ComplianceLimits(**{limit: 0.999 * value}))
    assert said is not None
    assert re.search(message, said)
    assert compliance_excess(LAW, rk.ComplianceLimits(**{limit: value * (1.0 - 1e-6)})) is not None
    assert compliance_excess(LAW, rk.ComplianceLimits()) is None


def test_the_damping_ratio_is_the_smaller_one_of_both():
    translation, rotation = 50.0 / (2.0 * math.sqrt(1000.0)), 2.0 / (2.0 * math.sqrt(100.0 * 0.02))
    assert damping_ratio(LAW) == pytest.approx(min(translation, rotation))
    stiffer = LAW.model_copy(update={"translational_damping_ns_m": 30.0})
    assert damping_ratio(stiffer) == pytest.approx(30.0 / (2.0 * math.sqrt(1000.0)))


def test_the_damping_ratio_is_bounded_from_below():
    ratio = damping_ratio(LAW)
    assert compliance_excess(LAW, rk.ComplianceLimits(min_damping_ratio=ratio)) is None
    said = compliance_excess(LAW, rk.ComplianceLimits(min_damping_ratio=1.001 * ratio))
    assert said is not None
    assert f"damping ratio would be {ratio:.3g}" in said
    assert compliance_excess(LAW, rk.ComplianceLimits(min_damping_ratio=ratio * (1.0 + 1e-6))) is not None


@pytest.mark.parametrize("axis", ["translational_stiffness_n_m", "rotational_stiffness_nm"])
def test_what_has_no_stiffness_cannot_swing(axis):
    law = LAW.model_copy(update={"translational_damping_ns_m": 500.0, "rotational_damping_nms_rad": 100.0, axis: 0.0})
    assert damping_ratio(law) > 1.0
    assert compliance_excess(law, rk.ComplianceLimits(min_damping_ratio=1.0)) is None
    free = law.model_copy(update={"translational_stiffness_n_m": 0.0, "rotational_stiffness_nm": 0.0})
    assert damping_ratio(free) == math.inf
