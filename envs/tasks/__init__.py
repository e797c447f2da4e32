"""The tasks in a workcell, in one file for each task."""

from envs.tasks.franka import FrankaTask, franka_actions
from envs.tasks.franka_config import PRECISION, FrankaTaskConfig
from envs.tasks.pick_cube import PickCube
from envs.tasks.task import Outcome, Task

__all__ = ["PRECISION", "FrankaTask", "FrankaTaskConfig", "Outcome", "PickCube", "Task", "franka_actions"]
