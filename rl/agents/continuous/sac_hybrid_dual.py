"""The hybrid agents for two arms. Original: agents/continuous/sac_hybrid_dual.py of HIL-SERL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rl.agents.continuous.sac_hybrid import DrQAgentHybrid, SACAgentHybrid
from rl.agents.continuous.sac_hybrid_config import HybridConfig


@dataclass(frozen=True)
class DualArmConfig(HybridConfig):
    """Settings for actions (x, y, ..., gripper, x', y', ..., gripper'): the grasp critic weighs 9 joint moves."""

    arms: ClassVar[int] = 2


class SACAgentHybridDualArm(SACAgentHybrid):
    """Two arms with a gripper each, from states."""

    defaults = DualArmConfig()


class DrQAgentHybridDualArm(DrQAgentHybrid):
    """Two arms with a gripper each, from images and state."""

    defaults = DualArmConfig()
