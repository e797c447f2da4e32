"""`python -m tests.lowest_versions constraints|tools|selection`: what `make test-lowest` installs and runs.

It runs before anything is installed, and so needs the standard library only.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from pathlib import Path

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"

TOOLS = ("hypothesis", "psutil", "pytest-timeout", "trustme")
"""What these tests need beside the project; users do not install it, so that its newest version will do."""

SELECTION = (
    "robotkit/cli/test_cli.py",
    "robotkit/test_option_errors.py",
    "robotkit/schema/test_schema.py",
    "robotkit/schema/test_strict_numbers.py",
    "robotkit/remote/test_session.py",
    "servers/test_routes.py",
    "servers/test_stream.py",
    "servers/test_metrics.py",
    "servers/test_tls.py",
    "sims/test_models.py",
    "sims/test_world.py",
    "envs/test_reach.py",
    "envs/test_vector.py",
    "envs/test_stacks.py",
    "rl/agents/test_bc.py",
    "rl/agents/test_drq.py",
    "rl/agents/test_sac.py",
    "rl/cli/test_commands.py",
    "rl/cli/test_short_help.py",
    "rl/data",
    "rl/interop",
    "rl/link",
    "rl/plots",
    "rl/utils",
    "rl/wrappers",
    "robotkit/drivers/test_apriltag.py",
    "robotkit/drivers/test_gamepads.py",
    "robotkit/drivers/test_realsense.py",
    "robotkit/drivers/test_robotiq_contract.py",
    "robotkit/drivers/test_sensors_contract.py",
    "robotkit/calibration/test_cell_file.py",
    "robotkit/calibration/test_lens.py",
)
"""Tests that use every dependency; the arm's simulator is left out, whose own dependencies ask for newer versions."""

_OWN_TOOLS = ("dev", "docs")
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?:\[[^]]*\])?(?P<bounds>[^;]*)(?P<marker>(?:;.*)?)")
_LOWEST = re.compile(r"\s*(?:>=|==)\s*(?P<version>[\w.]+)\s*")


def requirements(pyproject: Path = PYPROJECT) -> list[str]:
    """What the project and its extras ask for, without the tools that it is developed with."""
    project = tomllib.loads(pyproject.read_text())["project"]
    extras = (extra for name, extra in project["optional-dependencies"].items() if name not in _OWN_TOOLS)
    asked = chain(project["dependencies"], *extras)
    return [one for one in asked if not one.startswith(f"{project['name']}[")]


def constraints(asked: Iterable[str]) -> list[str]:
    """`name==lowest` for each requirement, the same one once.

    Raises:
        ValueError: a requirement has no lower bound, or two have different ones.
    """
    found: dict[str, str] = {}
    for requirement in asked:
        parts = _REQUIREMENT.fullmatch(requirement)
        lowest = next(filter(None, map(_LOWEST.fullmatch, parts["bounds"].split(","))), None) if parts else None
        if parts is None or lowest is None:
            raise ValueError(f"{requirement!r} has no lower bound: write NAME>=VERSION, the lowest that was tested")
        line = f"{parts['name']}=={lowest['version']}{parts['marker']}"
        if found.setdefault(parts["name"], line) != line:
            raise ValueError(f"two lower bounds: {found[parts['name']]} and {line}")
    return list(found.values())


LISTS: Mapping[str, Callable[[], Iterable[str]]] = {
    "constraints": lambda: constraints(requirements()),
    "tools": lambda: TOOLS,
    "selection": lambda: (f"tests/{path}" for path in SELECTION),
}

if __name__ == "__main__":
    print(*LISTS[sys.argv[1]](), sep="\n")
