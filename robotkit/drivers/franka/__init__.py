"""Franka arms and the Franka Hand, through franky (libfranka's Python face): FR3 and Panda."""

from robotkit.drivers.franka.hand import FrankaHand
from robotkit.drivers.franka.robot import FrankaRobot

__all__ = ["FrankaHand", "FrankaRobot"]
