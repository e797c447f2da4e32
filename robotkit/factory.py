"""Builds devices and workcells from a name, a file or a configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from typing import Any

from robotkit import registry
from robotkit.cells import find_workcell, is_file, is_url, load_workcell_config, override
from robotkit.clock import Clock, RealClock
from robotkit.devices import BaseGripperServer, BaseRobotServer, BaseWorld, CellContext
from robotkit.errors import ConfigurationError, InvalidConfiguration
from robotkit.safety import make_safe
from robotkit.schema import PluginRef, WorkcellConfig
from robotkit.workcell import Workcell


def make_robot(name: str, /, **options: Any) -> BaseRobotServer:
    """Build the arm `name` alone, without a safety layer; `robotkit list` shows names and options."""
    return registry.robots.make(name, None, **options)


def make_gripper(name: str, /, **options: Any) -> BaseGripperServer:
    """Build the gripper `name` alone; `robotkit list` shows names and options."""
    return registry.grippers.make(name, None, **options)


def make_workcell(cell: str | Path | WorkcellConfig, /, **overrides: Any) -> Workcell:
    """Build a workcell. Nothing is connected yet, so nothing moves.

    This decides what a cell is everywhere: for `gymnasium.make(cell=…)`, for `--cell` and for the commands.

    Args:
        cell: a registered name ("mujoco-pick-cube"), a TOML file, the URL of a robot server, or a configuration.
        **overrides: replace single values; keys may be dotted: `**{"world.scene": "reach", "clock": "real"}`. A named
            builder that takes arguments of its own receives them instead, and so does a URL: `token`, and the others
            of `robotkit.remote.remote_workcell`.

    Raises:
        InvalidConfiguration: something does not validate; every problem is named with its place.
        UnknownPlugin: no cell and no plugin of that name.
        RemoteError: the server at the URL cannot be used.
    """
    if isinstance(cell, str) and is_url(cell):
        return _build_named("remote", {**overrides, "url": cell})
    if isinstance(cell, WorkcellConfig):
        _refuse_token(cell.name, overrides)
        return build_workcell(override(cell, overrides))
    if is_file(cell):
        _refuse_token(cell, overrides)
        with _naming(str(cell)):
            return build_workcell(override(load_workcell_config(Path(cell)), overrides))
    return _build_named(str(cell), overrides)


def make_workcell_in(world: BaseWorld, cell: str | Path | WorkcellConfig, /, **overrides: Any) -> Workcell:
    """Build a workcell that stands in the world of another: two arms that hand an object on are two cells in one world.

    Args:
        world: of the other cell; both have the same `[world]` section, but for the arm.
        cell: see `make_workcell`.
        **overrides: see `make_workcell`.

    Raises:
        InvalidConfiguration: this world cannot be shared, or see `make_workcell`.
        UnknownPlugin: no cell and no plugin of that name.
    """
    if isinstance(cell, str) and is_url(cell):
        raise InvalidConfiguration(f"{cell} is a cell of another program, which stands in no world of this one")
    config = override(_config_of(cell), overrides)
    with _naming(config.name):
        return build_workcell(config, world)


def _config_of(cell: str | Path | WorkcellConfig) -> WorkcellConfig:
    """The configuration of a cell that is built from one.

    Raises:
        InvalidConfiguration: the file does not validate, or the named cell comes built.
        UnknownPlugin: no cell of that name.
    """
    if isinstance(cell, WorkcellConfig):
        return cell
    if is_file(cell):
        return load_workcell_config(Path(cell))
    built = find_workcell(str(cell))()
    if not isinstance(built, WorkcellConfig):
        raise InvalidConfiguration(f"cell {cell!r} comes built, so it cannot stand in the world of another cell")
    return built


def _refuse_token(cell: str | Path, overrides: Mapping[str, Any]) -> None:
    if overrides.get("token") is not None:
        raise InvalidConfiguration(f"a token belongs to the URL of a robot server, not to cell={str(cell)!r}")


def _build_named(name: str, overrides: Mapping[str, Any]) -> Workcell:
    """Give the builder what it takes; what is left overrides the configuration that it returns."""
    builder = find_workcell(name)
    own = {key: value for key, value in overrides.items() if key in signature(builder).parameters}
    others = {key: value for key, value in overrides.items() if key not in own}
    try:
        signature(builder).bind(**own)
    except TypeError as error:
        raise InvalidConfiguration(f"cell {name!r}: {error}. It takes: {signature(builder)}") from error
    built = builder(**own)
    _refuse_token(name, others)
    if isinstance(built, WorkcellConfig):
        return build_workcell(override(built, others))
    if others:
        raise InvalidConfiguration(
            f"cell {name!r} comes built, so {', '.join(others)} cannot be overridden. It takes: {signature(builder)}"
        )
    if not isinstance(built, Workcell):
        raise InvalidConfiguration(
            f"cell {name!r} was built as {built!r}; its builder has to return a WorkcellConfig or a Workcell"
        )
    return built


def build_workcell(config: WorkcellConfig, shared: BaseWorld | None = None) -> Workcell:
    """Build every device of `config`, the robot inside the safety layer.

    Args:
        config: of the cell.
        shared: a world that another cell stands in; this one's joins it.

    Raises:
        ConfigurationError: a plugin is unknown, or one of its options is wrong; nothing was built yet.
    """
    for section, kind, ref in plugins_of(config):
        with _naming(f"[{section}]"):
            kind.validate(ref.type, ref.options)
    world: BaseWorld | None = None
    if config.world is not None:
        context = CellContext(name=config.name, is_lockstep=config.clock == "lockstep", world=shared)
        world = registry.worlds.make(config.world.type, context, **config.world.options)
    if shared is not None and (world is None or shared.meeting is None or world.meeting is not shared.meeting):
        raise InvalidConfiguration(
            f"cell {config.name!r} cannot stand in the world of {shared.context.name!r}: that needs a [world] "
            "section that is alike in both, of a world that has an arm for each"
        )
    clock = _clock(config, world)

    def make(kind: registry.Registry[Any], name: str, ref: PluginRef, **built: Any) -> Any:
        return kind.make(ref.type, CellContext(name=name, clock=clock, world=world, **built), **ref.options)

    body = make(registry.robots, "robot", config.robot)
    cameras = {name: make(registry.cameras, name, ref) for name, ref in config.cameras.items()}
    return Workcell(
        name=config.name,
        clock=clock,
        robot=make_safe(body, config.limits, clock),
        gripper=make(registry.grippers, "gripper", config.gripper) if config.gripper else None,
        cameras=cameras,
        trackers={
            name: make(registry.trackers, name, ref, cameras=cameras, robot=body)
            for name, ref in config.trackers.items()
        },
        world=world,
        limits=config.limits,
    )


def plugins_of(config: WorkcellConfig) -> Iterator[tuple[str, registry.Registry[Any], PluginRef]]:
    """Section of the file, kind and reference of every plugin that the cell names."""
    single = (("world", registry.worlds), ("robot", registry.robots), ("gripper", registry.grippers))
    for section, kind in single:
        ref: PluginRef | None = getattr(config, section)
        if ref is not None:
            yield section, kind, ref
    for section, many in (("cameras", registry.cameras), ("trackers", registry.trackers)):
        for name, ref in getattr(config, section).items():
            yield f"{section}.{name}", many, ref


@contextmanager
def _naming(place: str) -> Iterator[None]:
    """Put the place in front of what is wrong there, unless it is named already."""
    try:
        yield
    except ConfigurationError as error:
        if place in error.message:
            raise
        raise type(error)(f"{place}: {error.message}") from error


def _clock(config: WorkcellConfig, world: BaseWorld | None) -> Clock:
    if config.clock == "real":
        return RealClock()
    clock = world.lockstep_clock if world is not None else None
    if clock is None:
        raise InvalidConfiguration(
            f'cell {config.name!r}: clock = "lockstep" needs a world that can be stepped; use clock = "real"'
        )
    return clock
