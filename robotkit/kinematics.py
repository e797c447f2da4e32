"""`ForwardKinematics`: the poses of an arm's tool and links at joint positions, for one configuration or a path."""

from __future__ import annotations

import numpy as np

from robotkit.schema.kinematics import KinematicChain, KinematicJoint

_TERMS = 4
"""A joint's transform is a sum of fixed matrices times 1, sin q, 1 - cos q and q."""


class ForwardKinematics:
    """Forward kinematics of a serial chain, in URDF's convention.

    The frame of joint i in the frame of joint i - 1 is T_i(q) = O_i exp(q S_i): a fixed origin, then the exponential of
    the joint's screw (Lynch and Park, Modern Robotics, 2017, sections 3.2.3 and 4.1). For a revolute joint with axis w
    the exponential is Rodrigues' formula I + sin q [w] + (1 - cos q) [w]^2, for a prismatic one a translation by q w,
    for a fixed one I.

    Args:
        chain: the arm.
    """

    def __init__(self, chain: KinematicChain) -> None:
        self.chain = chain
        self.joint_count = chain.joint_count
        """Length of the joint vector."""
        self._indices = np.array([joint.index for joint in chain.joints])
        self._terms = np.array([_terms(joint) for joint in chain.joints])
        self._is_revolute = np.array([joint.kind == "revolute" for joint in chain.joints])
        self._is_prismatic = np.array([joint.kind == "prismatic" for joint in chain.joints])
        self._axes = np.array([joint.axis for joint in chain.joints])[:, :, None]
        self._tcp = _matrix(chain.tcp_in_last_link)
        self._links = np.array([capsule.link for capsule in chain.capsules], dtype=int)
        ends = [(capsule.start_in_link_m, capsule.end_in_link_m) for capsule in chain.capsules]
        self._ends = np.ones((len(ends), 4, 2))
        if ends:
            self._ends[:, :3] = np.array(ends).swapaxes(1, 2)

    def tcp_pose(self, joints: np.ndarray) -> np.ndarray:
        """Joint positions (n,) to the tool's pose (7,) in the base frame.

        Raises:
            ValueError: the vector does not have `joint_count` numbers.
        """
        pose: np.ndarray = self.tcp_poses(joints[None])[0]
        return pose

    def tcp_poses(self, joints: np.ndarray) -> np.ndarray:
        """Joint positions (m, n) to tool poses (m, 7) in the base frame.

        Raises:
            ValueError: the vectors do not have `joint_count` numbers.
        """
        return self.tcp_poses_of(self.frames(joints))

    def capsule_ends(self, joints: np.ndarray) -> np.ndarray:
        """Joint positions (m, n) to both ends of each capsule's segment in the base frame, (m, capsules, 2, 3) in m.

        Raises:
            ValueError: the vectors do not have `joint_count` numbers.
        """
        return self.capsule_ends_of(self.frames(joints))

    def jacobian(self, joints: np.ndarray) -> np.ndarray:
        """Shape (6, n): the tool's twist in the base frame = jacobian @ joint velocities.

        A revolute joint's column is (z x (p - o), z), a prismatic one's (z, 0), with z its axis, o its origin and p the
        tool centre point in the base frame (Siciliano et al., Robotics, 2009, section 3.1.3).

        Raises:
            ValueError: the vector does not have `joint_count` numbers.
        """
        frames = self.frames(joints[None])[0]
        tcp_m = frames[-1, :3] @ self._tcp[:, 3]
        axes = (frames[1:, :3, :3] @ self._axes)[:, :, 0]
        lever = np.cross(axes, tcp_m - frames[1:, :3, 3])
        columns = np.zeros((6, self.joint_count))
        turns, slides = self._is_revolute[:, None], self._is_prismatic[:, None]
        columns[:3, self._indices] = (turns * lever + slides * axes).T
        columns[3:, self._indices] = (turns * axes).T
        return columns

    def frames(self, joints: np.ndarray) -> np.ndarray:
        """Joint positions (m, n) to the frames of the base and of each joint in the base, (m, 1 + joints, 4, 4).

        Raises:
            ValueError: the vectors do not have `joint_count` numbers.
        """
        if joints.ndim != 2 or joints.shape[1] != self.joint_count:
            raise ValueError(f"expected joint vectors of shape (m, {self.joint_count}), got {joints.shape}")
        q = joints[:, self._indices]
        factors = np.empty((*q.shape, 1, _TERMS))
        factors[..., 0, 0], factors[..., 0, 3] = 1.0, q
        np.sin(q, out=factors[..., 0, 1])
        factors[..., 0, 2] = 1.0 - np.cos(q)
        steps = (factors @ self._terms).reshape(*q.shape, 4, 4)
        frames = np.empty((len(q), q.shape[1] + 1, 4, 4))
        frames[:, 0] = np.eye(4)
        frame = frames[:, 1] = steps[:, 0]
        for index in range(1, q.shape[1]):
            frame = frames[:, index + 1] = frame @ steps[:, index]
        return frames

    def tcp_poses_of(self, frames: np.ndarray) -> np.ndarray:
        """Tool poses (m, 7) from `frames`."""
        tips = frames[:, -1] @ self._tcp
        poses = np.empty((len(tips), 7))
        poses[:, :3] = tips[:, :3, 3]
        _quaternions(tips[:, :3, :3], poses[:, 3:])
        return poses

    def capsule_ends_of(self, frames: np.ndarray) -> np.ndarray:
        """Ends of the capsules' segments, (m, capsules, 2, 3), from `frames`."""
        return (frames[:, self._links, :3] @ self._ends).swapaxes(2, 3)

    def path_bounds(self, start: np.ndarray, goal: np.ndarray) -> tuple[float, float]:
        """Upper bounds for the straight joint path: the way of any point of the arm in m, the tool's turn in rad.

        The way is the sum over the joints of what each turns or slides, times the longest lever that anything behind it
        can have.

        Args:
            start: joint positions (n,).
            goal: joint positions (n,).
        """
        first, last = start[self._indices], goal[self._indices]
        turns, slides = self._is_revolute * np.abs(last - first), self._is_prismatic * np.abs(last - first)
        extents_m = self._is_prismatic * np.maximum(np.abs(first), np.abs(last))
        return float(turns @ self._levers(extents_m) + slides.sum()), float(turns.sum())

    def _levers(self, extents_m: np.ndarray) -> np.ndarray:
        """Return for each joint the largest distance of anything that it moves from its origin."""
        lengths = np.linalg.norm(self._terms[:, 0].reshape(-1, 4, 4)[:, :3, 3], axis=1) + extents_m
        tip_m = np.zeros(len(lengths) + 1)
        tip_m[-1] = np.linalg.norm(self._tcp[:3, 3])
        for capsule in self.chain.capsules:
            far_m = max(float(np.linalg.norm(end)) for end in (capsule.start_in_link_m, capsule.end_in_link_m))
            tip_m[capsule.link] = max(tip_m[capsule.link], far_m + capsule.radius_m)
        levers = np.zeros(len(lengths))
        beyond_m = 0.0
        for index in range(len(lengths) - 1, -1, -1):
            levers[index] = beyond_m = max(tip_m[index + 1], beyond_m)
            beyond_m += lengths[index]
        return levers


def _terms(joint: KinematicJoint) -> np.ndarray:
    """Shape (4, 16): the matrices that 1, sin q, 1 - cos q and q multiply, each as a row."""
    origin = _matrix(joint.origin_in_parent)
    terms = np.zeros((_TERMS, 4, 4))
    terms[0] = origin
    if joint.kind == "revolute":
        x, y, z = joint.axis
        cross = np.array(((0.0, -z, y), (z, 0.0, -x), (-y, x, 0.0)))
        terms[1, :3, :3] = origin[:3, :3] @ cross
        terms[2, :3, :3] = origin[:3, :3] @ cross @ cross
    elif joint.kind == "prismatic":
        terms[3, :3, 3] = origin[:3, :3] @ joint.axis
    return terms.reshape(_TERMS, 16)


def _matrix(pose: np.ndarray) -> np.ndarray:
    """A pose (7,) as a homogeneous transform (4, 4)."""
    x, y, z, w = pose[3:]
    matrix = np.eye(4)
    matrix[:3, :3] = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
        (2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
        (2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
    )
    matrix[:3, 3] = pose[:3]
    return matrix


def _quaternions(matrices: np.ndarray, out: np.ndarray) -> None:
    """Write unit quaternions xyzw (m, 4) of rotation matrices (m, 3, 3) into `out`.

    Of the four ways in which a quaternion's outer product with itself can be read from a matrix the one with the
    largest pivot is taken, which is well conditioned for every rotation (Shepperd, 1978; Markley, 2008).
    """
    m = matrices
    trace = m[:, 0, 0] + m[:, 1, 1] + m[:, 2, 2]
    outer = np.empty((len(m), 4, 4))
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        outer[:, i, i] = 1.0 - trace + 2.0 * m[:, i, i]
        outer[:, i, j] = outer[:, j, i] = m[:, i, j] + m[:, j, i]
        outer[:, i, 3] = outer[:, 3, i] = m[:, k, j] - m[:, j, k]
    outer[:, 3, 3] = 1.0 + trace
    pivots = np.argmax(np.einsum("mii->mi", outer), axis=1)
    rows = outer[np.arange(len(m)), pivots]
    out[:] = rows / np.sqrt(np.einsum("mi,mi->m", rows, rows))[:, None]
