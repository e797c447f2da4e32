"""The contracts as test classes, which the tests of a plugin inherit.

```python
import robotkit as rk
from robotkit.testing import ArmContract


class TestMyArm(ArmContract):
    def make_cell(self):
        return rk.make_workcell("my-cell.toml")
```

Each class says in its docstring what its cell needs. Every body of robotkit passes the same classes.
"""

from __future__ import annotations

from robotkit.errors import MissingExtra

try:
    import pytest
except ImportError as error:
    raise MissingExtra("robotkit.testing needs pytest: pip install 'robotkit[testing]'") from error

_LAWS = (
    "arm_commands",
    "arm_interruptions",
    "arm_stops",
    "camera",
    "gripper",
    "moves",
    "teleop",
    "tracker",
    "workcell",
)
pytest.register_assert_rewrite(*(f"{__name__}.{name}" for name in _LAWS))  # a failed law shows its values

from robotkit.testing.arm import ArmContract  # noqa: E402
from robotkit.testing.arm_interruptions import ArmInterruptionContract  # noqa: E402
from robotkit.testing.camera import CameraContract  # noqa: E402
from robotkit.testing.gripper import GripperContract  # noqa: E402
from robotkit.testing.teleop import TeleopContract  # noqa: E402
from robotkit.testing.tracker import TrackerContract  # noqa: E402
from robotkit.testing.workcell import WorkcellContract  # noqa: E402

__all__ = [
    "ArmContract", "ArmInterruptionContract", "CameraContract", "GripperContract", "TeleopContract", "TrackerContract",
    "WorkcellContract",
]  # fmt: skip
