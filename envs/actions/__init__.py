"""Action maps: they turn an action in [-1, 1] into a bounded command."""

from envs.actions.action_map import ActionMap
from envs.actions.gripper import BinaryGripper
from envs.actions.pose_delta import PoseDelta, PoseDeltaConfig, towards
from envs.actions.target_delta import TargetDelta

__all__ = ["ActionMap", "BinaryGripper", "PoseDelta", "PoseDeltaConfig", "TargetDelta", "towards"]
