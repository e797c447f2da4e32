"""The table of environment ids, and their construction from the arguments of `gymnasium.make`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gymnasium

from envs.actions import ActionMap, PoseDelta
from envs.core import ManipulationEnv
from envs.experts.bin_relocation import bin_relocation
from envs.experts.egg_flip import egg_flip
from envs.experts.insertion import cable_routing, pcb_insertion, peg_insertion, ram_insertion
from envs.experts.object_handover import object_handover
from envs.experts.scripted_human import Expert
from envs.experts.tracker import pick_cube
from envs.experts.usb_pickup_insertion import usb_pickup_insertion
from envs.interventions import Human, add_human
from envs.tasks.bin_relocation import BIN, BIN_VISION, BinRelocation, BinRelocationConfig, bin_relocation_actions
from envs.tasks.cable_routing import CABLE, CABLE_VISION
from envs.tasks.egg_flip import EGG, EGG_VISION, EggFlip, EggFlipConfig
from envs.tasks.franka import FrankaTask, franka_actions, pose_delta_config
from envs.tasks.franka_config import FrankaTaskConfig
from envs.tasks.insertion import Insertion
from envs.tasks.object_handover import GIVER, GIVER_VISION, TAKER, TAKER_VISION, Handover, HandoverConfig
from envs.tasks.pcb_insertion import PCB, PCB_VISION
from envs.tasks.peg_insertion import PEG, PEG_VISION
from envs.tasks.pick_cube import PickCube, pick_cube_actions
from envs.tasks.ram_insertion import RAM, RAM_VISION
from envs.tasks.reach import Reach, reach_actions
from envs.tasks.reach_pose import REACH_POSE, REACH_POSE_VISION
from envs.tasks.task import Task
from envs.tasks.usb_pickup_insertion import USB, USB_VISION, PickupInsertion, PickupInsertionConfig
from envs.wrappers.action_axes import ActionAxes
from envs.wrappers.gripper_penalty import GripperPenalty
from envs.wrappers.pose_encoding import Quat2Euler
from envs.wrappers.relative_view import relative_view, tool_view
from envs.wrappers.serl_obs_wrappers import SERLObsWrapper
from robotkit import BaseWorld, InvalidConfiguration, Workcell, make_workcell, make_workcell_in

DEFAULT_CELL = "mujoco-pick-cube"


View = Callable[[gymnasium.Env[Any, Any]], gymnasium.Env[Any, Any]]
"""Wrappers that change what an agent sees and says."""


@dataclass(frozen=True)
class Entry:
    """One environment id."""

    task: Callable[[], Task]
    action_map: Callable[[], ActionMap]
    max_episode_steps: int
    cell: str = DEFAULT_CELL
    """The cell that it stands in unless the caller names another."""
    wrap: View = lambda env: env
    """Wrappers that are always around the environment."""
    view: View = lambda env: env
    """Wrappers that come outside of a human who takes over."""
    expert: Callable[[gymnasium.Env[Any, Any]], Expert] | None = None
    """Makes a script that solves it."""


@dataclass(frozen=True)
class DualEntry:
    """One environment id of two arms, see `envs.dual`."""

    left: Entry
    right: Entry
    arm_view: View = lambda env: env
    """Wrappers around each arm, outside of a human who takes over."""
    view: View = lambda env: env
    """Wrappers around the pair."""
    shares_world: bool = False
    """In simulation, both arms stand in one world, which has an arm for each."""

    @property
    def max_episode_steps(self) -> int:
        """The longer one of the arms' own."""
        return max(self.left.max_episode_steps, self.right.max_episode_steps)


def franka_entry(
    task: type[FrankaTask],
    config: FrankaTaskConfig,
    cell: str = DEFAULT_CELL,
    view: View = lambda env: env,
    expert: Callable[[gymnasium.Env[Any, Any]], Expert] | None = None,
) -> Entry:
    """A task on SERL's real robot, with the time limit and the gripper penalty of its config."""
    return Entry(
        lambda: task(config),
        lambda: franka_actions(config),
        config.max_episode_length,
        cell,
        lambda env: GripperPenalty(env, config.gripper_penalty, config.gripper_penalty_goes_to),
        view,
        expert,
    )


def holding_entry(
    task: type[FrankaTask],
    config: FrankaTaskConfig,
    cell: str,
    expert: Callable[[gymnasium.Env[Any, Any]], Expert] | None = None,
    view: View = lambda env: env,
) -> Entry:
    """A task whose part the gripper never lets go of: six numbers, and no gripper to penalise."""
    return Entry(
        lambda: task(config),
        lambda: PoseDelta(pose_delta_config(config)),
        config.max_episode_length,
        cell,
        view=view,
        expert=expert,
    )


def usb_entry(config: PickupInsertionConfig, view: View = lambda env: env) -> Entry:
    """Return the entry of USB pick-up and insertion: seven numbers, and a penalty for changes of the gripper."""
    return franka_entry(PickupInsertion, config, "mujoco-usb-pickup-insertion", view, usb_pickup_insertion)


def bin_entry(config: BinRelocationConfig) -> Entry:
    """Return the entry of bin relocation: seven numbers that keep the tool off the walls between the bins."""
    row = franka_entry(BinRelocation, config, "mujoco-bin-relocation", expert=bin_relocation)
    return replace(row, action_map=lambda: bin_relocation_actions(config))


def egg_entry(config: EggFlipConfig, view: View = lambda env: env) -> Entry:
    """Return the entry of the egg flip: three numbers, the tool's twist along x, along z and about y."""
    return Entry(
        lambda: EggFlip(config),
        lambda: PoseDelta(replace(pose_delta_config(config), axes=config.axes)),
        config.max_episode_length,
        "mujoco-egg-flip",
        view=lambda env: view(ActionAxes(env, config.axes)),
        expert=egg_flip,
    )


def egg_view(env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    """HIL-SERL's flat state: joint positions and velocities, pose as Euler angles, twist."""
    return SERLObsWrapper(Quat2Euler(env), ("tcp_pose", "tcp_vel", "q", "dq"))


def handover_entry(taker: HandoverConfig, giver: HandoverConfig) -> DualEntry:
    """The left arm takes what the right one gives, as in HIL-SERL."""
    left, right = (f"mujoco-object-handover-{arm}" for arm in ("left", "right"))
    return DualEntry(
        franka_entry(Handover, taker, left, expert=object_handover),
        franka_entry(Handover, giver, right, expert=object_handover),
        shares_world=True,
    )


def handover_view(env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    """HIL-SERL's flat state of both arms: pose, twist and opening, but no forces."""
    keys = [f"{arm}/{key}" for arm in ("left", "right") for key in ("tcp_pose", "tcp_vel", "gripper_pose")]
    return SERLObsWrapper(env, keys)


TABLE: Mapping[str, Entry] = {
    "PandaPickCube-v0": Entry(PickCube, pick_cube_actions, 100, expert=pick_cube),
    "PandaPickCubeVision-v0": Entry(lambda: PickCube(("front", "wrist")), pick_cube_actions, 100, expert=pick_cube),
    "PandaReach-v0": Entry(Reach, reach_actions, 40),
    "FrankaReachPose-v0": franka_entry(FrankaTask, REACH_POSE),
    "FrankaReachPoseVision-v0": franka_entry(FrankaTask, REACH_POSE_VISION),
    "FrankaReachPoseRelative-v0": franka_entry(FrankaTask, REACH_POSE, view=relative_view),
    "PandaPegInsertion-v0": holding_entry(Insertion, PEG, "mujoco-peg-insertion", peg_insertion),
    "PandaPegInsertionVision-v0": holding_entry(Insertion, PEG_VISION, "mujoco-peg-insertion", peg_insertion),
    "FrankaPegInsert-Vision-v0": franka_entry(Insertion, PEG_VISION, "mujoco-peg-insertion", expert=peg_insertion),
    "PandaPCBInsertion-v0": holding_entry(Insertion, PCB, "mujoco-pcb-insertion", pcb_insertion),
    "PandaPCBInsertionVision-v0": holding_entry(Insertion, PCB_VISION, "mujoco-pcb-insertion", pcb_insertion),
    "FrankaPCBInsert-Vision-v0": franka_entry(Insertion, PCB_VISION, "mujoco-pcb-insertion", expert=pcb_insertion),
    "PandaCableRouting-v0": holding_entry(Insertion, CABLE, "mujoco-cable-routing", cable_routing),
    "PandaCableRoutingVision-v0": holding_entry(Insertion, CABLE_VISION, "mujoco-cable-routing", cable_routing),
    "FrankaCableRoute-Vision-v0": franka_entry(Insertion, CABLE_VISION, "mujoco-cable-routing", expert=cable_routing),
    "PandaBinRelocation-v0": bin_entry(BIN),
    "PandaBinRelocationVision-v0": bin_entry(replace(BIN, image_keys=BIN_VISION.image_keys, observes_object=False)),
    "FrankaBinRelocation-Vision-v0": bin_entry(BIN_VISION),
    "PandaEggFlip-v0": egg_entry(EGG),
    "FrankaEggFlip-Vision-v0": egg_entry(EGG_VISION, egg_view),
    "PandaRAMInsertion-v0": holding_entry(Insertion, RAM, "mujoco-ram-insertion", ram_insertion),
    "PandaRAMInsertionVision-v0": holding_entry(Insertion, RAM_VISION, "mujoco-ram-insertion", ram_insertion),
    "FrankaRAMInsertRelative-Vision-v0": holding_entry(
        Insertion, RAM_VISION, "mujoco-ram-insertion", ram_insertion, relative_view
    ),
    "PandaUSBPickupInsertion-v0": usb_entry(USB),
    "PandaUSBPickupInsertionVision-v0": usb_entry(USB_VISION),
    "FrankaUSBPickRelative-Vision-v0": usb_entry(USB_VISION, relative_view),
}

DUAL_TABLE: Mapping[str, DualEntry] = {
    "DualFrankaReachPose-v0": DualEntry(TABLE["FrankaReachPose-v0"], TABLE["FrankaReachPose-v0"]),
    "DualFrankaReachPoseVision-v0": DualEntry(TABLE["FrankaReachPoseVision-v0"], TABLE["FrankaReachPoseVision-v0"]),
    "DualFrankaPegInsertRelative-Vision-v0": DualEntry(
        TABLE["FrankaPegInsert-Vision-v0"], TABLE["FrankaPegInsert-Vision-v0"], tool_view, SERLObsWrapper
    ),
    "DualPandaHandover-v0": handover_entry(TAKER, GIVER),
    "DualFrankaHandoverRelative-Vision-v0": replace(
        handover_entry(TAKER_VISION, GIVER_VISION), arm_view=tool_view, view=handover_view
    ),
}


def register_all() -> None:
    """Make every id of both tables known to `gymnasium.make`; `import envs` does it.

    Each has a second id in the namespace `robotkit`, which no other package claims: `robotkit/PandaPickCube-v0`.
    """
    tables: tuple[tuple[str, Mapping[str, Entry | DualEntry]], ...] = (
        ("envs.registration:make_env", TABLE),
        ("envs.dual.registration:make_dual_env", DUAL_TABLE),
    )
    for maker, table in tables:
        for name, entry in table.items():
            for env_id in (name, f"robotkit/{name}"):
                gymnasium.register(
                    id=env_id, entry_point=maker, max_episode_steps=entry.max_episode_steps, kwargs={"entry": name}
                )


def make_env(
    entry: str,
    cell: str | Path | Workcell | None = None,
    cell_overrides: Mapping[str, Any] | None = None,
    token: str | None = None,
    render_mode: str | None = None,
    human: Human = None,
) -> gymnasium.Env[Any, Any]:
    """Build the environment of one table entry, without the time limit that `gymnasium.make` adds.

    Args:
        entry: a key of `TABLE`.
        cell: a registered workcell, the path of a .toml file, the URL of a robot server, or a built workcell; None
            takes the entry's own. A built one is shared: the environment connects it when it must, and never
            disconnects it.
        cell_overrides: single values of the workcell's configuration, such as `{"cameras.front.width_px": 256}`.
        token: for the robot server, when `cell` is a URL.
        render_mode: None or "rgb_array".
        human: who may take over: "expert" (a script that always acts), "scripted" (the same script, when the policy has
            had its time), the name of a teleoperation device such as "spacemouse", a built device, or nobody.

    Raises:
        InvalidConfiguration: the arguments contradict each other, the cell lacks something, or there is no expert.
        UnknownPlugin: no cell and no device of that name.
    """
    return build(TABLE[entry], cell, cell_overrides, token, render_mode, human)


def franka_env(
    config: FrankaTaskConfig,
    cell: str | Path | Workcell,
    task: type[FrankaTask] = FrankaTask,
    cell_overrides: Mapping[str, Any] | None = None,
    token: str | None = None,
    render_mode: str | None = None,
) -> gymnasium.Env[Any, Any]:
    """Make SERL's `FrankaEnv` without an id: any task in any cell, with the config's time limit.

    See `make_env` for the arguments and for what is raised.
    """
    env = build(franka_entry(task, config), cell, cell_overrides, token, render_mode)
    return gymnasium.wrappers.TimeLimit(env, config.max_episode_length)


def build(
    row: Entry,
    cell: str | Path | Workcell | None,
    cell_overrides: Mapping[str, Any] | None,
    token: str | None,
    render_mode: str | None,
    human: Human = None,
    world: BaseWorld | None = None,
) -> gymnasium.Env[Any, Any]:
    """`make_env` for an entry that need not be in the table, and where `world` is given, in a world of another cell."""
    workcell = open_cell(row.cell if cell is None else cell, cell_overrides or {}, token, world)
    env = row.wrap(
        ManipulationEnv(
            workcell, row.task(), row.action_map(), render_mode, owns_workcell=not isinstance(cell, Workcell)
        )
    )
    if human is not None:
        env = add_human(env, human, row.expert, row.max_episode_steps)
    return row.view(env)


def open_cell(
    cell: str | Path | Workcell, overrides: Mapping[str, Any], token: str | None, world: BaseWorld | None = None
) -> Workcell:
    """The workcell that `cell` names; see `make_env`. One that is built from a configuration joins a given `world`."""
    given = {**overrides} if token is None else {**overrides, "token": token}
    if isinstance(cell, Workcell):
        if given:
            raise InvalidConfiguration("cell_overrides and token cannot change a built workcell; build it with them")
        return cell
    return make_workcell(cell, **given) if world is None else make_workcell_in(world, cell, **given)
