"""`Simulation`: the physics of one scene, its lock, and the two ways in which its time passes."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Mapping, Sequence

import mujoco
import numpy as np

from robotkit.errors import DeviceFault
from sims.arm import Arm, Arms
from sims.compilation import MujocoWorldConfig, compile_model
from sims.controllers.records import record
from sims.measurements import now_s
from sims.physics import WORLD
from sims.placement import Placement
from sims.randomisation import Randomiser
from sims.render import Renderer
from sims.scenes import Scene, find_scene
from sims.snapshot import Snapshot
from sims.soundness import Soundness
from sims.timing import RealTimeThread

STEPS_AT_ONCE = 50
"""Physics steps without a look at the lock: 1 to 2 ms, the longest that a stop waits for a long step in lock-step."""


class Simulation:
    """Model, data and arms of a scene; whoever touches them takes `lock` around it.

    Args:
        config: of the world.
        is_lockstep: time passes only in `advance`. Otherwise a thread makes the physics follow the wall clock from
            `start()` to `stop()`.
    """

    def __init__(self, config: MujocoWorldConfig, is_lockstep: bool) -> None:
        self.is_lockstep = is_lockstep
        self.scene: Scene = find_scene(config.scene)
        self.model = compile_model(self.scene, config)
        self.data = mujoco.MjData(self.model)
        self.lock = threading.RLock()
        self.record = record(WORLD)
        self.record["period"] = config.physics_dt_s
        self._soundness = Soundness(self.model, self.data)
        home_rad, names = self.scene.home_rad, self.scene.bases_in_world
        arms = [Arm(self.model, self.data, name, self.record, home_rad) for name in names]
        self.arms = Arms(arms, self.record, self._soundness)
        """By name."""
        self._placement = Placement(self.model, self.data, self.scene, self.record)
        self._randomiser = Randomiser(self.model, self.scene, config.randomisation)
        self._is_random = config.randomisation.is_on
        self._rng = np.random.default_rng(0)
        self.resets = 0
        """How often the world was reset; a motion that waits for an arrival gives up when it changes."""
        self.problem: str | None = None
        """The fault of the numbers of this world; they are not simulated further before `restart` or `reset`."""
        self.dt_s = config.physics_dt_s
        """Length of a physics step."""
        self._is_pretty = config.render == "pretty"
        self._owed_s = 0.0
        self._thread: RealTimeThread | None = None
        self._renderer: Renderer | None = None
        self.restart()

    def start(self) -> None:
        """Bring the world to its initial state, and start its clock if it runs in real time.

        Raises:
            DeviceFault: the scene fails numerically as soon as it is simulated.
        """
        with self.lock:
            self._rng = np.random.default_rng(0)
            self._randomiser.apply(self._randomiser.nominal)
            self.restart()
            self.arms.advance(0)  # compiles the laws now, not in the first step of a control loop
        if not self.is_lockstep:
            self._thread = RealTimeThread(self)
            self._thread.start()

    def stop(self) -> None:
        """Stop time and free the renderer."""
        renderer, self._renderer = self._renderer, None
        if renderer is not None:
            renderer.close()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.stop()

    def require_sound(self) -> None:
        """Raise `DeviceFault` when the physics has failed: what devices would report is frozen."""
        problem = self.problem
        if problem is not None:
            raise self.failure(problem)

    def failure(self, problem: str) -> DeviceFault:
        """The error that says so, and what to do."""
        return DeviceFault(
            f"the physics of world {self.scene.name!r} has failed: {problem}. Its last sound state is reported; reset "
            "the cell, or recover() the arm, to bring the world to its start"
        )

    def fail(self, problem: str) -> None:
        """Freeze the world in its last sound state until it is restarted; the lock is held."""
        self.problem = problem
        self._soundness.restore()
        for arm in self.arms.values():
            arm.refresh()

    def now_s(self) -> float:
        """Time of the cell in s: simulated in lock-step, the wall's in real time; never goes backwards."""
        return float(now_s(self.record))

    def advance(self, period_s: float) -> None:
        """Simulate `period_s`; what is left over of a physics step is added to the next call.

        Raises:
            DeviceFault: the physics has failed, in this call or before.
        """
        with self.lock:
            self._owed_s += period_s
            steps = int(self._owed_s / self.dt_s + 1e-6)
            self._owed_s = max(0.0, self._owed_s - steps * self.dt_s)
            resets = self.resets
        for done in range(0, steps, STEPS_AT_ONCE):
            if done:
                time.sleep(0)  # lets a stop or a state in that waits for the lock
            with self.lock:
                if self.resets != resets:
                    return
                self.simulate(min(STEPS_AT_ONCE, steps - done))

    def simulate(self, steps: int) -> None:
        """Run that many physics steps; the lock is held.

        Raises:
            DeviceFault: the physics has failed, in this call or before.
        """
        self.require_sound()
        if not self.arms.advance(steps):
            self.fail(self._soundness.problem() or "its numbers are not sound")
            self.require_sound()

    def render(self, camera: int, width_px: int, height_px: int) -> tuple[float, np.ndarray]:
        """Draw the world as it is: its stamp in s, and an image uint8 (height, width, 3). Any thread may ask."""
        with self.lock:
            if self._renderer is None:
                snapshot = Snapshot(self.model, self.data, self.lock, self.now_s)
                self._renderer = Renderer(snapshot, self._is_pretty)
            renderer = self._renderer
        return renderer.render(camera, width_px, height_px)

    def checked(self, poses: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The poses (7,) that are asked for, in the frame in which they are told.

        Raises:
            Unsupported: the scene has no object of that name.
            InvalidCommand: a pose is none, or lies far away.
        """
        return self._placement.checked(poses)

    def reset(self, seed: int | None, object_poses_in_world: Mapping[str, np.ndarray]) -> None:
        """Put the arms at home, and every object where it is asked for, or at its own home.

        The fingers are open, unless the scene has objects that they hold. What `randomisation` names is drawn anew.

        Args:
            seed: of what is drawn; None goes on with the present generator.
            object_poses_in_world: poses (7,) that `checked` has passed.

        Raises:
            InvalidCommand: an object would overlap something; nothing was changed.
            DeviceFault: the physics fails at this start.
        """
        with self.lock:
            rng = copy.deepcopy(self._rng) if seed is None else np.random.default_rng(seed)
            draw = self._randomiser.draw(rng) if self._is_random else self._randomiser.nominal
            poses = {**draw.poses_in_base, **object_poses_in_world}
            held = [name for name in self.scene.held_in_tcp if name not in object_poses_in_world]
            self._placement.require_free(poses, held)
            self._rng = rng
            if self._is_random:
                self._randomiser.apply(draw)
            self._set_start(poses, held)

    def restart(self) -> None:
        """Put the arms and all objects at home, which also ends a failure of the physics; the lock is held.

        Raises:
            DeviceFault: the physics fails at this start.
        """
        self._set_start({}, list(self.scene.held_in_tcp))

    def _set_start(self, poses_in_world: Mapping[str, np.ndarray], held: Sequence[str]) -> None:
        self.problem = None
        self._placement.start(poses_in_world)
        self._support_arms()
        self._soundness.keep()
        self._placement.grip(held, self.arms)
        self._owed_s = 0.0
        self.resets += 1
        for arm in self.arms.values():
            arm.restart()
        problem = self._soundness.problem()
        if problem is not None:
            self.fail(problem)
            self.require_sound()
        self._soundness.keep()

    def _support_arms(self) -> None:
        """Make the first measured wrench that of arms at rest, not of ones that begin to fall.

        The solver's warm start is left as SERL's reset leaves it: trajectories stay equal to the last bit.
        """
        warm_start = self.data.qacc_warmstart.copy()
        for arm in self.arms.values():
            arm.support()
        mujoco.mj_forward(self.model, self.data)
        self.data.qacc_warmstart[:] = warm_start
