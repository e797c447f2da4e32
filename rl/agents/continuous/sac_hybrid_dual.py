"""The hybrid agents for two arms. Original: agents/continuous/sac_hybrid_dual.py of HIL-SERL."""

from __future__ import annotations

from rl.agents.continuous.sac_hybrid import DrQAgentHybrid, SACAgentHybrid
from rl.agents.continuous.sac_hybrid_config import DualArmConfig


class SACAgentHybridDualArm(SACAgentHybrid):
    """Two arms with a gripper each, from states."""

    defaults = DualArmConfig()


class DrQAgentHybridDualArm(DrQAgentHybrid):
    """Two arms with a gripper each, from images and state."""

    defaults = DualArmConfig()
