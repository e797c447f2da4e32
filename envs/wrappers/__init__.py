"""Gymnasium wrappers: each changes one thing between a task and a learner.

From the env outwards they stand in this order: `GripperPenalty`, `GripperClose`, `TeleopIntervention`, `RelativeFrame`,
`Quat2Euler` or `Quat2R6`, `ZOnly`, `SERLObsWrapper`, `FrontCamera`, a reward classifier, `ChunkingWrapper`,
`EpisodeStatistics`.
"""

from envs.wrappers.action_axes import ActionAxes
from envs.wrappers.action_repeat import ActionRepeat
from envs.wrappers.action_view import INTERVENE_ACTION, ActionView
from envs.wrappers.chunking import ChunkingWrapper, space_stack, stack_obs
from envs.wrappers.front_camera import FrontCamera
from envs.wrappers.gripper_close import GripperClose
from envs.wrappers.gripper_penalty import GripperPenalty
from envs.wrappers.human_success_key import HumanSuccessKey
from envs.wrappers.multi_stage_classifier import MultiStageRewardClassifier
from envs.wrappers.pose_encoding import Quat2Euler, Quat2R6
from envs.wrappers.relative_frame import RelativeFrame
from envs.wrappers.relative_view import relative_view
from envs.wrappers.remap import Remap
from envs.wrappers.reward_classifier import (
    BinaryRewardClassifier,
    FrontCameraRewardClassifier,
    NWayRewardClassifier,
)
from envs.wrappers.serl_obs_wrappers import SERLObsWrapper
from envs.wrappers.statistics import EpisodeStatistics
from envs.wrappers.task_graph_classifier import TaskGraphRewardClassifier
from envs.wrappers.teleop_intervention import TeleopIntervention
from envs.wrappers.unnormalize import Scaling, UnnormalizeActionProprio
from envs.wrappers.video_recorder import VideoRecorder
from envs.wrappers.z_only import ZOnly

__all__ = [
    "INTERVENE_ACTION", "ActionAxes", "ActionRepeat", "ActionView", "BinaryRewardClassifier", "ChunkingWrapper",
    "EpisodeStatistics", "FrontCamera", "FrontCameraRewardClassifier", "GripperClose", "GripperPenalty",
    "HumanSuccessKey", "MultiStageRewardClassifier", "NWayRewardClassifier", "Quat2Euler", "Quat2R6", "RelativeFrame",
    "Remap", "SERLObsWrapper", "Scaling", "TaskGraphRewardClassifier", "TeleopIntervention", "UnnormalizeActionProprio",
    "VideoRecorder", "ZOnly", "relative_view", "space_stack", "stack_obs",
]  # fmt: skip
