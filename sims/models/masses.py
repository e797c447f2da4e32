"""Masses that MuJoCo derives from two gripper meshes, which differ between its releases."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

MassSet = Literal["serl_2.3.7", "3.x"]


@dataclass(frozen=True)
class MeshMasses:
    """Inertial values of the mount and of one silicone pad; SI units, quaternion wxyz."""

    mount_kg: float
    mount_com: tuple[float, float, float]
    mount_inertia: tuple[float, float, float]
    mount_quaternion: tuple[float, float, float, float]
    silicone_kg: float
    silicone_com: tuple[float, float, float]
    silicone_inertia: tuple[float, float, float]


_RECENT = MeshMasses(
    mount_kg=0.150003,
    mount_com=(-3.60583596e-04, 8.53627480e-05, -5.91991415e-05),
    mount_inertia=(1.02345489e-04, 5.35996872e-05, 5.21717631e-05),
    mount_quaternion=(-0.0005129174394465363, 0.7060997624936067, 0.0005329903636925315, 0.7081119814291021),
    silicone_kg=0.001302811839479651,
    silicone_com=(0.0, -0.0058, 0.0185173753),
    silicone_inertia=(2.00804321e-07, 1.49536006e-07, 5.18241810e-08),
)
# The meshes are not watertight, and MuJoCo 2.3.7, which SERL pins, integrated their volumes differently: the same
# shapes and centres, other masses. The mount's was identified from recorded inertia matrices, to 3e-8 kg m².
_PINNED_MOUNT_KG, _PINNED_SILICONE_KG = 0.0958351814, 0.0012927


def _scaled(inertia: tuple[float, float, float], factor: float) -> tuple[float, float, float]:
    return (factor * inertia[0], factor * inertia[1], factor * inertia[2])


_PINNED = replace(
    _RECENT,
    mount_kg=_PINNED_MOUNT_KG,
    mount_inertia=_scaled(_RECENT.mount_inertia, _PINNED_MOUNT_KG / _RECENT.mount_kg),
    silicone_kg=_PINNED_SILICONE_KG,
    silicone_inertia=_scaled(_RECENT.silicone_inertia, _PINNED_SILICONE_KG / _RECENT.silicone_kg),
)

MESH_MASSES: dict[MassSet, MeshMasses] = {"serl_2.3.7": _PINNED, "3.x": _RECENT}
