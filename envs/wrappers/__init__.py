"""Gymnasium wrappers: each changes one thing between a task and a learner."""

from envs.wrappers.action_repeat import ActionRepeat
from envs.wrappers.chunking import ChunkingWrapper, space_stack, stack_obs
from envs.wrappers.serl_obs_wrappers import SERLObsWrapper
from envs.wrappers.statistics import EpisodeStatistics
from envs.wrappers.video_recorder import VideoRecorder

__all__ = [
    "ActionRepeat", "ChunkingWrapper", "EpisodeStatistics", "SERLObsWrapper", "VideoRecorder", "space_stack",
    "stack_obs",
]  # fmt: skip
