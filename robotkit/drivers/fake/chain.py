"""The fake arm as a kinematic chain: three slides, then yaw, pitch and roll, then joints that move nothing."""

from __future__ import annotations

from robotkit.schema.kinematics import KinematicChain, KinematicJoint

_HERE = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
_X, _Y, _Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


def chain(dof: int) -> KinematicChain:
    """The gantry with its wrist, without links.

    Rotations about fixed axes in the order roll, pitch, yaw are rotations about moving axes in the opposite order.

    Args:
        dof: number of joints, 6 or more; those beyond the sixth move nothing.
    """
    moving = (("prismatic", 0, _X), ("prismatic", 1, _Y), ("prismatic", 2, _Z),
              ("revolute", 5, _Z), ("revolute", 4, _Y), ("revolute", 3, _X))  # fmt: skip
    idle = tuple(("fixed", index, _Z) for index in range(6, dof))
    return KinematicChain(
        joints=tuple(
            KinematicJoint(origin_in_parent=_HERE, axis=axis, kind=kind, index=index)
            for kind, index, axis in moving + idle
        ),
        tcp_in_last_link=_HERE,
    )
