"""The hybrid agents for one arm. Original: agents/continuous/sac_hybrid_single.py of HIL-SERL."""

from __future__ import annotations

from rl.agents.continuous.sac_hybrid import DrQAgentHybrid, SACAgentHybrid
from rl.agents.continuous.sac_hybrid_config import SingleArmConfig


class SACAgentHybridSingleArm(SACAgentHybrid):
    """One arm with a gripper, from states."""

    defaults = SingleArmConfig()


class DrQAgentHybridSingleArm(DrQAgentHybrid):
    """One arm with a gripper, from images and state."""

    defaults = SingleArmConfig()
