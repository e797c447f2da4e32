"""`python -m tests.support.real_server …`: `python -m servers …` whose fake arms say that they are real ones."""

from __future__ import annotations

from robotkit.devices import CellContext
from robotkit.drivers.fake import FakeRobot, FakeRobotConfig
from servers.__main__ import main

_begin = FakeRobot.__init__


def _begin_as_real(arm: FakeRobot, config: FakeRobotConfig, context: CellContext) -> None:
    _begin(arm, config, context)
    arm.spec = arm.spec.model_copy(update={"is_simulated": False})


if __name__ == "__main__":
    FakeRobot.__init__ = _begin_as_real
    main()
