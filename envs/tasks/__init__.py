"""What can be done in a workcell, one file a task."""

from envs.tasks.pick_cube import PickCube
from envs.tasks.task import Outcome, Task

__all__ = ["Outcome", "PickCube", "Task"]
