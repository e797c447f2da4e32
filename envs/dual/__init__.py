"""Environments of two arms, each made of two environments of one arm."""

from envs.dual.env import DualArmEnv, both, each_arm

__all__ = ["DualArmEnv", "both", "each_arm"]
