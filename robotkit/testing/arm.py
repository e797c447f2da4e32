"""`ArmContract`: all laws of an arm inside its safety layer."""

from __future__ import annotations

from robotkit.testing.arm_commands import ArmCommandContract
from robotkit.testing.arm_interruptions import ArmInterruptionContract
from robotkit.testing.arm_stops import ArmStopContract


class ArmContract(ArmCommandContract, ArmInterruptionContract, ArmStopContract):
    """Laws of every arm inside its safety layer.

    The limits of the cell have a workspace box, `max_translation_step_m` and `max_joint_step_rad`. After `reset` the
    arm stands inside the box, at least 3 cm from its faces. On a real arm the suite moves the tool by up to 10 cm, and
    the first joint by 0.2 rad.

    `ArmInterruptionContract` alone is enough for a second class, with the same arm on a real clock: in lock-step no
    time passes in which a motion could be interrupted.
    """
