"""`MujocoWorld`: one arm's part in a simulated scene, which the cells of several arms can share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from robotkit.clock import Clock
from robotkit.devices import BaseWorld, CellContext
from robotkit.errors import DeviceFault, InvalidConfiguration, Unsupported
from robotkit.meeting import Meeting
from sims.arm import Arm
from sims.compilation import MujocoWorldConfig
from sims.scenes import Scene
from sims.simulation import Simulation
from sims.timing import LockstepClock


class MujocoWorld(BaseWorld):
    """The simulation that the devices of a cell stand in, and the arm of it that is the cell's.

    In a cell with `clock = "lockstep"`, time passes only in `advance`. Otherwise the physics follows the wall clock
    from `connect()` to `disconnect()`. Where cells share a simulation, it runs while one of them is connected.
    """

    Config = MujocoWorldConfig
    config: MujocoWorldConfig

    def __init__(self, config: MujocoWorldConfig, context: CellContext) -> None:
        super().__init__(config, context)
        self._parts: list[MujocoWorld] = []  # of every cell in the simulation, in the order in which they joined it
        self._entering = threading.RLock()  # shared too: held while a cell enters or leaves
        if context.world is None:
            self.simulation = Simulation(config, context.is_lockstep)
            self._meeting = Meeting(self.simulation.advance, self._reset_all)
        else:
            self._join(context.world)
        self._parts.append(self)
        self.arm: Arm = self.simulation.arms[self._arm_name()]
        """The arm of this cell."""
        self.model: Any = self.simulation.model
        self.data: Any = self.simulation.data
        self.lock = self.simulation.lock
        self.record = self.simulation.record
        self.scene: Scene = self.simulation.scene
        self.when_failed: Callable[[], object] | None = None
        """Called when the physics has failed, before another cell puts all arms at their start."""
        self.is_put_back_by_another = False
        """True while the cell is told, by `when_reset_by_another`, that another one put the world back to its start."""
        self._connected = False
        self._clock = LockstepClock(self)

    @property
    def meeting(self) -> Meeting | None:
        """Where the cells of this scene's arms meet; None where it has one."""
        return self._meeting if len(self.simulation.arms) > 1 else None

    @property
    def lockstep_clock(self) -> Clock:
        """The clock whose `advance` runs the physics."""
        return self._clock

    @property
    def is_connected(self) -> bool:
        """True between `connect()` and `disconnect()`."""
        return self._connected

    @property
    def problem(self) -> str | None:
        """The fault of the numbers of this world; None while they are sound."""
        return self.simulation.problem

    @property
    def resets(self) -> int:
        """How often the world was reset."""
        return self.simulation.resets

    def connect(self) -> None:
        """Bring the world to its initial state and start its time, unless another cell has done so.

        Raises:
            DeviceFault: the scene fails numerically as soon as it is simulated.
        """
        with self._entering:
            if self._connected:
                return
            if not any(part.is_connected for part in self._parts):
                self.simulation.start()
            self._connected = True

    def disconnect(self) -> None:
        """Leave the world; the last cell that does stops its time."""
        with self._entering:
            was_connected, self._connected = self._connected, False
            if was_connected and not any(part.is_connected for part in self._parts):
                self.simulation.stop()

    def require_sound(self) -> None:
        """Raise `DeviceFault` when the physics has failed: what devices would report is frozen."""
        self.simulation.require_sound()

    def failure(self, problem: str) -> DeviceFault:
        """The error that says so, and what to do."""
        return self.simulation.failure(problem)

    def now_s(self) -> float:
        """Time of the cell in s: simulated in lock-step, the wall's in real time; never goes backwards."""
        return self.simulation.now_s()

    def advance(self, period_s: float) -> None:
        """Simulate `period_s`; what is left over of a physics step is added to the next call.

        Raises:
            Unsupported: the world runs in real time.
            DeviceFault: the physics has failed, in this call or before.
        """
        if not self.context.is_lockstep:
            raise Unsupported('this world follows the wall clock; only a cell with clock = "lockstep" can be stepped')
        self._meeting.advance(self, period_s)

    def render(self, camera: int, width_px: int, height_px: int) -> tuple[float, np.ndarray]:
        """Draw the world as it is: its stamp in s, and an image uint8 (height, width, 3). Any thread may ask."""
        self.require_connected()
        return self.simulation.render(camera, width_px, height_px)

    def reset(self, seed: int | None, object_poses_in_base: Mapping[str, np.ndarray]) -> None:
        """Put the arms at home, and every object where it is asked for, or at its own home.

        The fingers are open, unless the scene has objects that they hold. What `randomisation` names is drawn anew.
        Where several cells reset one world together, each may place objects, and the seed is that of the first.

        Raises:
            Unsupported: the scene has no object of that name.
            InvalidCommand: a pose is none, or an object would overlap something; nothing was changed.
            DeviceFault: the physics fails at this start.
        """
        self.require_connected()
        poses = self.simulation.checked(object_poses_in_base)
        self._meeting.reset(self, (seed, {name: self.arm.in_world(pose) for name, pose in poses.items()}))

    def recover(self) -> None:
        """Put the arms and all objects at home where the physics has failed.

        The arms of other cells note the failure first: each is in a fault until it is recovered by itself.

        Raises:
            DeviceFault: the physics fails at this start.
        """
        if self.problem is None:
            return
        others = [part for part in self._parts if part is not self]
        self._note_failure(others)
        with self.lock:
            has_failed = self.simulation.problem is not None
            if has_failed:
                self.simulation.restart()
        if has_failed:
            self._tell_start(others)

    def _reset_all(self, starts: Mapping[MujocoWorld, tuple[int | None, Mapping[str, np.ndarray]]]) -> None:
        asked = [starts[part] for part in self._parts if part in starts]
        seed = next((seed for seed, _ in asked if seed is not None), None)
        others = [part for part in self._parts if part not in starts]
        if self.problem is not None:
            self._note_failure(others)
        self.simulation.reset(seed, {name: pose for _, poses in asked for name, pose in poses.items()})
        self._tell_start(others)

    @staticmethod
    def _note_failure(others: Iterable[MujocoWorld]) -> None:
        """Let the arms of other cells see the failure, before it is gone."""
        for part in others:
            if part.is_connected and part.when_failed is not None:
                part.when_failed()

    @staticmethod
    def _tell_start(others: Iterable[MujocoWorld]) -> None:
        """Tell other cells that their arms were put to their start."""
        for part in others:
            if part.is_connected and part.when_reset_by_another is not None:
                part.is_put_back_by_another = True
                try:
                    part.when_reset_by_another()
                finally:
                    part.is_put_back_by_another = False

    def _join(self, other: BaseWorld) -> None:
        if not isinstance(other, MujocoWorld) or other.context.is_lockstep != self.context.is_lockstep:
            raise InvalidConfiguration(f"cell {self.context.name!r} can share a MuJoCo world with the same clock only")
        if self.config.model_copy(update={"arm": other.config.arm}) != other.config:
            raise InvalidConfiguration(
                f"cells {other.context.name!r} and {self.context.name!r} share a world, so their [world] sections have "
                f"to be alike but for the arm; got {other.config!r} and {self.config!r}"
            )
        if any(part.config.arm == self.config.arm for part in other._parts):
            raise InvalidConfiguration(
                f"cell {self.context.name!r}: the arm {self.config.arm!r} of this world stands in another cell already"
            )
        self.simulation, self._meeting = other.simulation, other._meeting
        self._parts, self._entering = other._parts, other._entering

    def _arm_name(self) -> str:
        names = list(self.simulation.arms)
        name = names[0] if len(names) == 1 and self.config.arm is None else self.config.arm
        if name not in names:
            raise InvalidConfiguration(
                f"scene {self.config.scene!r} has no arm {name!r}; give the world of cell {self.context.name!r} the "
                f"option arm: {', '.join(map(repr, names))}"
            )
        return name


def require_world(context: CellContext, kind: str) -> MujocoWorld:
    """The MuJoCo world of the cell that a device is built for.

    Raises:
        InvalidConfiguration: the cell has none.
    """
    if not isinstance(context.world, MujocoWorld):
        raise InvalidConfiguration(
            f"the {kind} 'mujoco' ({context.name}) lives in a MuJoCo world; give the cell [world] type = \"mujoco\", "
            'or use make_workcell("mujoco-pick-cube")'
        )
    return context.world
