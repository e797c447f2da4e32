"""`robotkit init`: a workcell file from a template of the package."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from robotkit import registry
from robotkit.cli.cell_text import parse_assignment, with_value
from robotkit.cli.operation.question import answered, can_ask, console_for_sentences
from robotkit.cli.option_rows import options_of
from robotkit.errors import InvalidConfiguration, MissingExtra
from robotkit.factory import make_workcell


@dataclass(frozen=True)
class Template:
    """A file of `robotkit/cli/templates`, and what differs from lab to lab."""

    file: str
    about: str
    host_keys: tuple[str, ...] = ()
    """Where the address of the arm's control box stands."""
    questions: tuple[tuple[str, str], ...] = ()
    """Further keys, with what a person is asked."""

    def text(self) -> str:
        """The file."""
        return files("robotkit.cli").joinpath("templates", self.file).read_text(encoding="utf-8")


TEMPLATES: dict[str, Template] = {
    "franka-robotiq-realsense": Template(
        "franka_robotiq_realsense.toml",
        "a Franka arm, a Robotiq 2F-85, two RealSense cameras and a tagged object",
        ("robot.host",),
        (
            ("gripper.address", "Address of the gripper"),
            ("cameras.wrist_1.serial", "Serial number of the wrist camera (rs-enumerate-devices -s)"),
            ("cameras.front.serial", "Serial number of the front camera"),
        ),
    ),
    "franka-hand": Template(
        "franka_hand.toml",
        "a Franka arm with its own hand and one USB camera",
        ("robot.host", "gripper.host"),
        (("cameras.front.device", "Number of the USB camera (0 is the first)"),),
    ),
    "simulation": Template("simulation.toml", "a Panda arm, a gripper, two cameras and a cube in MuJoCo"),
    "plugin": Template("plugin.toml", "an arm that is installed as a plugin"),
}


def write_cell(
    path: Path,
    template_name: str | None,
    name: str | None,
    host: str | None,
    robot: str | None,
    assignments: Sequence[str],
    replaces: bool,
) -> int:
    """Fill in a template, check the result as a workcell file, write it, and say what comes next.

    Raises:
        ConfigurationError: the request is wrong, or the result is no workcell file; nothing was written.
    """
    _require_free(path, replaces)
    values = [("name", name or path.stem), *map(parse_assignment, assignments)]
    asks = template_name is None
    template = TEMPLATES[template_name or _asked_template()]
    if host is not None and not template.host_keys:
        raise InvalidConfiguration(f"--host: {template.about} has no control box; name its own options with --set")
    if robot is not None and template is not TEMPLATES["plugin"]:
        raise InvalidConfiguration("--robot names the arm of --template plugin; the other templates have theirs")
    text = template.text()
    if template is TEMPLATES["plugin"]:
        arm = robot or (answered("Name of the arm (robotkit list)", "") if asks else "")
        values += _plugin_values(arm, dict(values), asks)
    for key in template.host_keys:
        host = host or (answered("Address of the arm's control box", "172.16.0.2") if asks else None)
        values += [(key, host)] if host is not None else []
    given = dict(values)
    if asks:
        values += [(key, answered(question, None)) for key, question in template.questions if key not in given]
    for key, value in values:
        if value:
            text = with_value(text, key, value)
    unchecked = _check(path, text)
    with path.open("w" if replaces else "x", encoding="utf-8") as file:
        file.write(text)
    console = console_for_sentences()
    console.print(f"Wrote {path}: {template.about}.")
    if unchecked:
        console.print(f"It could not be checked on this machine: {unchecked}")
    console.print(f"Look through its limits, then: robotkit check {shlex.quote(str(path))}")
    return 0


def _require_free(path: Path, replaces: bool) -> None:
    if path.suffix != ".toml":
        raise InvalidConfiguration(f"{path}: the name of a workcell file ends in .toml")
    if path.is_dir() or not path.parent.is_dir():
        raise InvalidConfiguration(f"{path}: there is no folder {str(path.parent)!r}, or the path itself is one")
    if (path.exists() or path.is_symlink()) and not replaces:
        raise InvalidConfiguration(f"{path} is there already; choose another name, or give --force to replace it")


def _asked_template() -> str:
    names = list(TEMPLATES)
    if not can_ask():
        raise InvalidConfiguration(f"nobody can be asked here: give --template {' | '.join(names)}")
    console = console_for_sentences()
    for number, name in enumerate(names, 1):
        console.print(f"{number}  {name}: {TEMPLATES[name].about}")
    answer = answered("What stands in the cell", names[0])
    chosen = names[int(answer) - 1] if answer in map(str, range(1, len(names) + 1)) else answer
    if chosen not in TEMPLATES:
        raise InvalidConfiguration(f"there is no template {chosen!r}; choose one of: {', '.join(names)}")
    return chosen


def _plugin_values(arm: str, given: dict[str, str], asks: bool) -> Iterator[tuple[str, str]]:
    """The arm, and each option that it needs."""
    if not arm:
        raise InvalidConfiguration(f"give --robot NAME, the arm; known: {', '.join(registry.robots.names())}")
    yield "robot.type", arm
    missing = []
    for option in options_of(registry.robots.get(arm).Config):
        key = f"robot.{option.name}"
        if not option.is_required or key in given or "." in option.name:
            continue
        value = answered(f"{key} ({option.type}) {option.about}".strip(), "") if asks else ""
        if value:
            yield key, value
        else:
            missing.append(key)
    if missing:
        flags = " ".join(f"{key}=VALUE" for key in missing)
        raise InvalidConfiguration(f"arm {arm!r} needs --set {flags}; see robotkit list {arm}")


def _check(path: Path, text: str) -> str:
    """Build the cell that the text describes; returns why that is not possible on this machine.

    Raises:
        ConfigurationError: the text is no workcell file.
    """
    handle, name = tempfile.mkstemp(suffix=".toml", prefix=f".{path.stem}-", dir=path.parent)
    draft = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        make_workcell(draft)
    except MissingExtra as error:
        return error.message
    except InvalidConfiguration as error:
        raise InvalidConfiguration(error.message.replace(name, str(path))) from error
    finally:
        draft.unlink(missing_ok=True)
    return ""
