"""Franka arms (FR3 and Panda) and the Franka Hand, through franky, the Python interface of libfranka."""

from robotkit.drivers.franka.hand import FrankaHand
from robotkit.drivers.franka.robot import FrankaRobot

__all__ = ["FrankaHand", "FrankaRobot"]
