"""The cell's bounds on the impedance law."""

from __future__ import annotations

import math

from robotkit.schema import ComplianceLimits, ComplianceParams

_APPARENT_MASS_KG = 1.0
_APPARENT_INERTIA_KG_M2 = 0.02


def compliance_excess(params: ComplianceParams, limits: ComplianceLimits) -> str | None:
    """A sentence that says which of `params` is outside `limits` and what is allowed; None when none is."""
    ratio = damping_ratio(params)
    checks = (
        ("contact force (stiffness * clip)", params.contact_force_n, limits.max_contact_force_n, "N"),
        ("contact torque (stiffness * clip)", params.contact_torque_nm, limits.max_contact_torque_nm, "Nm"),
        ("stiffness", params.translational_stiffness_n_m, limits.max_translational_stiffness_n_m, "N/m"),
        ("rotational stiffness", params.rotational_stiffness_nm, limits.max_rotational_stiffness_nm, "Nm"),
    )
    for what, asked, allowed, unit in checks:
        if allowed is not None and not asked <= allowed * (1.0 + 1e-9):
            return (
                f"the {what} would be {asked:.4g} {unit}; at most {allowed:.4g} {unit} is allowed (limits.compliance)"
            )
    if limits.min_damping_ratio is not None and not ratio >= limits.min_damping_ratio * (1.0 - 1e-9):
        return (
            f"the damping ratio would be {ratio:.3g}; at least {limits.min_damping_ratio:.3g} is allowed "
            "(limits.compliance). Raise the damping, or lower the stiffness"
        )
    return None


def damping_ratio(params: ComplianceParams) -> float:
    """The smaller damping ratio of translation and rotation: d / (2 sqrt(k m)), for 1 kg and 0.02 kg m^2."""
    return min(
        _ratio(params.translational_damping_ns_m, params.translational_stiffness_n_m, _APPARENT_MASS_KG),
        _ratio(params.rotational_damping_nms_rad, params.rotational_stiffness_nm, _APPARENT_INERTIA_KG_M2),
    )


def _ratio(damping: float, stiffness: float, mass: float) -> float:
    return math.inf if stiffness == 0.0 else damping / (2.0 * math.sqrt(stiffness * mass))
