"""Messages that describe an arm's geometry: its joints, the capsules that enclose its links, and planes around it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from robotkit.schema.arrays import Pose, Vec3
from robotkit.schema.message import Message

_UNIT_TOLERANCE = 1e-6


def _unit(vector: np.ndarray) -> np.ndarray:
    length = float(np.linalg.norm(vector))
    if abs(length - 1.0) > _UNIT_TOLERANCE:
        raise ValueError(f"a direction must have length 1, got length {length:.6g}")
    return vector


UnitVec3 = Annotated[Vec3, AfterValidator(_unit)]
"""A direction: three numbers whose length is 1 up to 1e-6."""


class KinematicJoint(Message):
    """One joint, as in URDF: a fixed pose in the frame of the joint before, then a motion along or about its axis."""

    origin_in_parent: Pose
    """Frame of this joint at position 0, in the frame that the previous joint moves (the base for the first)."""
    axis: UnitVec3
    """Axis of the motion in this joint's own frame."""
    kind: Literal["revolute", "prismatic", "fixed"] = "revolute"
    """Kind of the joint; "fixed" has a number in the joint vector, and moves nothing."""
    index: int = Field(ge=0)
    """Place of its position in the arm's joint vector: rad for "revolute", m for "prismatic"."""


class LinkCapsule(Message):
    """All points within `radius_m` of a segment; together the capsules of an arm enclose its links."""

    name: str = Field(min_length=1)
    """Name of the link in errors."""
    link: int = Field(ge=0)
    """0: it stands with the base; i: the i-th joint from the base moves it, and it is given in that joint's frame."""
    start_in_link_m: Vec3
    end_in_link_m: Vec3
    radius_m: float = Field(gt=0.0)


class KinematicChain(Message):
    """A serial arm from base to tool."""

    joints: tuple[KinematicJoint, ...] = Field(min_length=1)
    """The joints from base to tool: one for each number of the joint vector."""
    tcp_in_last_link: Pose
    """Tool centre point in the frame that the last joint moves."""
    capsules: tuple[LinkCapsule, ...] = ()
    ignored_pairs: tuple[tuple[str, str], ...] = ()
    """Names of capsules that may touch. Capsules of one link, and of links next to each other, may always."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        indices = [joint.index for joint in self.joints]
        if sorted(indices) != list(range(len(indices))):
            raise ValueError(f"the joints' indices must be 0 to {len(indices) - 1}, each once, got {indices}")
        names = [capsule.name for capsule in self.capsules]
        if len(set(names)) < len(names):
            raise ValueError(f"each capsule needs a name of its own, got {names}")
        for capsule in self.capsules:
            if capsule.link > len(self.joints):
                raise ValueError(
                    f"capsule {capsule.name!r} is on link {capsule.link}; the links are 0 (the base) to "
                    f"{len(self.joints)}"
                )
        unknown = {name for pair in self.ignored_pairs for name in pair} - set(names)
        if unknown:
            raise ValueError(f"ignored_pairs names {sorted(unknown)}; the capsules are {names}")
        return self

    @property
    def joint_count(self) -> int:
        """Length of the arm's joint vector."""
        return len(self.joints)


class Plane(Message):
    """A flat obstacle (a table, a wall, a ceiling) that the arm stays on one side of."""

    name: str = Field(min_length=1)
    """Name of the plane in errors."""
    point_in_base_m: Vec3
    """Any point of the plane."""
    normal_in_base: UnitVec3
    """Normal of the plane, which points to the side on which the arm stays."""
    clearance_m: float = Field(0.0, ge=0.0, le=1.0)
    """The arm stays this far away from the plane."""
