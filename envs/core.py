"""`ManipulationEnv`: a task over a workcell, as a Gymnasium environment."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded

from envs.actions import ActionMap
from envs.images import fit_image
from envs.readiness import recover_own_simulation, require_ready
from envs.tasks.task import Outcome, Task
from robotkit import InvalidConfiguration, RobotStopped, TargetReplaced, Workcell
from robotkit.schema import CellState

Observation = dict[str, Any]
_RENDER_MODES = ["rgb_array"]
_TORN_PERIODS = 5
"""A step that takes so many periods too long is no step of the task; less is the jitter of a busy machine."""


class ManipulationEnv(gymnasium.Env[Observation, np.ndarray]):
    """One task in one workcell, be it simulated, real or remote.

    Observations are `{"state": {...}}` as the task defines it, plus `{"images": {camera: uint8 (height, width, 3)}}`
    when the task looks through cameras. Every `info` holds `success` (bool), the same as `is_success` for
    Stable-Baselines3 and Gymnasium, in a cell with a gripper `gripper_changed` (bool: this step asked the fingers for
    another opening), and what the task adds. The env never truncates: time limits are Gymnasium's `TimeLimit`, which
    the registered ids bring.

    The `info` of a step also holds `overrun_s`, how much longer than its control period it took on a clock that runs by
    itself, and `is_torn`: True where the step does not lead from the last observation to this one by its action alone.
    That is so when it took more than five periods too long, when something else replaced the arm's target since the
    last observation (a hold, another client), or when the step before it raised an error. Who learns from steps leaves
    such a one out.

    Args:
        workcell: where it happens; it is connected at the first `reset` if it is not yet.
        task: what is to be done.
        action_map: how an action becomes a command.
        render_mode: None, or "rgb_array" for the task's render camera.
        owns_workcell: `close()` disconnects the cell. Leave it False for a cell that others use too.

    Raises:
        InvalidConfiguration: the cell lacks a device that the task needs.
    """

    def __init__(
        self,
        workcell: Workcell,
        task: Task,
        action_map: ActionMap,
        render_mode: str | None = None,
        owns_workcell: bool = False,
    ) -> None:
        task.require_devices(workcell)
        _check_render_mode(render_mode, task, workcell)
        self.workcell = workcell
        self.task = task
        self.action_map = action_map
        self.render_mode = render_mode
        self.metadata = {"render_modes": _RENDER_MODES, "render_fps": round(1.0 / task.control_period_s)}
        self.action_space = action_map.space
        self.observation_space = _observation_space(task)
        self._owns_workcell = owns_workcell
        self._opening: float | None = None
        self._epoch: int | None = None
        self._recoveries = 0
        self._measured_s = 0.0
        self._is_whole = self._is_torn = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Bring the cell to the start of an episode.

        Args:
            seed: seeds `self.np_random`, from which every random draw of the env comes.
            options: what the task lets a caller fix, such as `{"block_xy": (0.4, 0.1)}`.

        Raises:
            InvalidConfiguration: an option is unknown or has the wrong shape.
            Unsupported: an object was to be placed in a cell that cannot place objects.
            RobotStopped, DeviceError: as `require_resettable`; nothing has moved.
        """
        super().reset(seed=seed)
        self._epoch = None
        self.require_resettable()
        state = self.task.reset(self.workcell, self.np_random, options or {})
        self._require(state)
        self.action_map.reset(state)
        self._opening = state.gripper.target_position if state.gripper is not None else None
        observation = self._observe(state)
        self._follow(state)
        self._is_torn = False
        return observation, self._info(state, self.task.evaluate(state))

    def step(self, action: np.ndarray) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Command, let one control period pass, measure, evaluate.

        Raises:
            InvalidCommand: the action has a wrong shape or is not finite; nothing was sent.
            CommandRejected: the cell's safety layer refused it; nothing was sent.
            RobotStopped, DeviceError: the arm, or a device that the task needs, cannot go on. A step after that sends
                nothing until it can. So too where the arm was stopped, or in a fault, and recovered since the last
                observation: the action was made before that, and is not sent.
            ResetNeeded: no episode runs.
        """
        start_s = self._now_s()
        self.require_steppable()
        period_s = self.task.control_period_s
        try:
            state = self._command(action, period_s)
        except TargetReplaced:  # between the last state and this command: the action counts from where the arm is now
            self._is_whole = False
            self.require_steppable()
            state = self._command(action, period_s)
        epoch = self._epoch
        self._require(state)
        self.action_map.follow(state)
        outcome = self.task.evaluate(state)
        info = self._info(state, outcome)
        observation = self._observe(state)
        self._follow(state)
        overrun_s = max(state.overrun_s, self._measured_s - start_s - period_s, 0.0)
        info["overrun_s"] = overrun_s
        info["is_torn"] = self._is_torn or state.robot.target_epoch != epoch or overrun_s > _TORN_PERIODS * period_s
        self._is_torn = False
        return observation, outcome.reward, outcome.is_terminated, False, info

    def _command(self, action: np.ndarray, period_s: float) -> CellState:
        command, gripper = self.action_map(action)
        self._is_whole = False
        return self.workcell.step(command, gripper, period_s, self._epoch)

    @property
    def is_real_time(self) -> bool:
        """Whether time passes between two steps, so that nobody may wait in the middle of an episode."""
        return not self.workcell.clock.is_lockstep

    def require_resettable(self) -> None:
        """Connect the cell if it is not yet, and raise unless a reset may move it.

        Raises:
            RobotStopped: a stop is latched.
            DeviceError, RemoteError: the arm, or the gripper if the task needs it, cannot go on.
        """
        self.workcell.connect()
        self._require(self.workcell.get_state(), with_objects=False)

    def require_steppable(self) -> None:
        """Raise unless the next command counts from a valid state; measure again where the state may be outdated.

        Raises:
            ResetNeeded: no episode runs.
            RobotStopped: a stop is latched, or a stop or a fault was recovered since the last observation; this is
                told once.
            DeviceError, RemoteError: the arm, or a device that the task needs, cannot go on.
        """
        if self._epoch is None:
            raise ResetNeeded("reset() must be called before the first step()")
        is_replaced = self.workcell.robot.target_epoch != self._epoch
        if not is_replaced and self._is_whole and self._now_s() - self._measured_s <= self.task.control_period_s:
            return
        state = self.workcell.get_state()
        self._require(state)
        if not self._is_whole and self.task.image_cameras:
            self._look()
        self._is_torn = self._is_torn or is_replaced or not self._is_whole
        self.action_map.follow(state)
        is_recovered = state.robot.recoveries != self._recoveries
        self._follow(state)
        if is_recovered:
            raise RobotStopped(
                "the arm was stopped, or in a fault, and recovered since the last observation; no action from before "
                "that is carried out. See that the cell is clear, then reset()"
            )

    def hold(self) -> None:
        """Keep the arm where it is, for a caller that has no next action; the episode cannot go on as it was."""
        self.workcell.robot.hold()

    def recover_simulation(self) -> str | None:
        """Recover a simulation of this process that its own cell stopped; see `recover_own_simulation`."""
        return recover_own_simulation(self.workcell)

    def render(self) -> np.ndarray | None:
        """The render camera's newest image, uint8 (height, width, 3); None without a render mode."""
        if self.render_mode is None:
            return None
        return self.workcell.cameras[self.task.camera_to_render(self.workcell)].read().rgb

    def close(self) -> None:
        """Disconnect the cell if it is this env's own. Closing twice changes nothing."""
        if self._owns_workcell:
            self.workcell.disconnect()

    def _require(self, state: CellState, *, with_objects: bool = True) -> None:
        require_ready(state.robot, self.workcell.robot)
        self.task.require_measured(state, with_objects=with_objects)

    def _follow(self, state: CellState) -> None:
        self._epoch, self._recoveries = state.robot.target_epoch, state.robot.recoveries
        self._measured_s, self._is_whole = self._now_s(), True

    def _now_s(self) -> float:
        """The cell's time where it passes by itself; 0 in lock-step, where a step takes what it takes."""
        return self.workcell.clock.now_s() if self.is_real_time else 0.0

    def _info(self, state: CellState, outcome: Outcome) -> dict[str, Any]:
        info = {"success": outcome.is_success, "is_success": outcome.is_success, **outcome.info}
        if state.gripper is not None:
            before, self._opening = self._opening, state.gripper.target_position
            info["gripper_changed"] = before != self._opening
        return info

    def _observe(self, state: CellState) -> Observation:
        observation: Observation = {"state": self.task.observe(state)}
        if self.task.image_cameras:
            observation["images"] = self._look()
        return observation

    def _look(self) -> dict[str, np.ndarray]:
        views = {name: self.task.view(name) for name in self.task.image_cameras}
        cameras = dict.fromkeys(view.camera for view in views.values())
        frames = {name: self.workcell.cameras[name].read().rgb for name in cameras}
        shape = self.task.image_shape
        return {name: fit_image(view.cut(frames[view.camera]), shape) for name, view in views.items()}


def _observation_space(task: Task) -> spaces.Dict:
    parts: dict[str, spaces.Space[Any]] = {"state": task.state_space}
    if task.image_cameras:
        image = spaces.Box(0, 255, (*task.image_shape, 3), np.uint8)
        parts["images"] = spaces.Dict(dict.fromkeys(task.image_cameras, image))
    return spaces.Dict(parts)


def _check_render_mode(render_mode: str | None, task: Task, workcell: Workcell) -> None:
    if render_mode is None:
        return
    if render_mode not in _RENDER_MODES:
        raise InvalidConfiguration(f"render_mode {render_mode!r} is not one of {_RENDER_MODES}")
    camera = task.camera_to_render(workcell)
    if camera not in workcell.cameras:
        raise InvalidConfiguration(
            f"rendering needs a camera named {camera!r} in cell {workcell.name!r}; "
            f"it has: {', '.join(workcell.cameras) or 'none'}"
        )
