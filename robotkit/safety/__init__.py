"""The safety layer: an arm inside limits on position and speed, which a thread monitors.

Nothing is clamped here. A command outside a limit is refused with an error that says what was asked, what is allowed
and what to do, and the arm goes on with its previous target. (Bounding an action is the client's work.)
"""

from robotkit.safety.events import SafetyEvent
from robotkit.safety.making import make_safe
from robotkit.safety.robot import SafeRobot

__all__ = ["SafeRobot", "SafetyEvent", "make_safe"]
