"""A Franka arm and hand behind libfranka's own protocol, with what franky-sim lacks: faults, contact forces, lock-step.

`FrankaSimulator` starts one in its own process on a free loopback address; everything else here runs inside it.
"""

from tests.support.franky_sim.client import FrankaSimulator, shared_simulator

__all__ = ["FrankaSimulator", "shared_simulator"]
