"""The hybrid agents for one arm. Original: agents/continuous/sac_hybrid_single.py of HIL-SERL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rl.agents.continuous.sac_hybrid import DrQAgentHybrid, SACAgentHybrid
from rl.agents.continuous.sac_hybrid_config import HybridConfig


@dataclass(frozen=True)
class SingleArmConfig(HybridConfig):
    """Settings for actions (x, y, z, ..., gripper): the grasp critic weighs 3 moves."""

    arms: ClassVar[int] = 1


class SACAgentHybridSingleArm(SACAgentHybrid):
    """One arm with a gripper, from states."""

    defaults = SingleArmConfig()


class DrQAgentHybridSingleArm(DrQAgentHybrid):
    """One arm with a gripper, from images and state."""

    defaults = SingleArmConfig()
