"""Which tests there are for a change to which package."""

from __future__ import annotations

from pathlib import Path

TESTS = {
    "robotkit/safety": (
        "tests/robotkit/safety", "tests/robotkit/test_cell_steps.py", "tests/faults",
    ),
    "robotkit/devices": (
        "tests/robotkit/devices", "tests/robotkit/safety", "tests/robotkit/drivers/test_fake.py",
        "tests/robotkit/test_workcell.py", "tests/faults", "tests/contracts",
    ),
    "robotkit/drivers": (
        "tests/robotkit/drivers", "tests/robotkit/test_kinematics.py", "tests/contracts",
        "tests/faults/test_interleavings.py",
    ),
    "robotkit/drivers/franka": (
        "--vendor=franka", "tests/robotkit/drivers/test_franka_*.py", "tests/robotkit/drivers/test_options.py",
        "tests/contracts/test_bodies.py", "tests/envs/test_franka_*.py", "tests/faults/test_failing_holds.py",
        "tests/faults/test_o*.py",
    ),
    "robotkit/remote": ("tests/robotkit/remote", "tests/contracts"),
    "robotkit/schema": ("tests/robotkit/schema", "tests/robotkit", "tests/contracts"),
    "servers": ("tests/servers", "tests/robotkit/remote"),
    "sims": ("tests/sims",),
    "envs": ("tests/envs",),
    "rl/data": (
        "tests/rl/data", "tests/rl/training/test_exact_resume.py", "tests/rl/training/test_retention.py",
        "tests/rl/offline/test_*classifier.py",
    ),
    "rl/link": (
        "tests/rl/link", "tests/rl/wrappers/test_served_base.py", "tests/rl/training/test_same_run.py",
        "tests/rl/training/test_learner_*.py",
    ),
}  # fmt: skip
"""Paths or patterns of the tests, by package, and options of pytest; paths that do not exist are passed over."""


def find_tests(root: Path, package: str) -> list[str]:
    """Arguments of pytest for the tests of `package`: options, and paths below `root`."""
    options = [one for one in TESTS[package] if one.startswith("-")]
    paths = [path for one in TESTS[package] if one not in options for path in sorted(root.glob(one))]
    return options + [str(path.relative_to(root)) for path in paths]


def sources_of(root: Path, package: str) -> list[str]:
    """Paths of the Python files of `package`, below `root`; not of those in it that are packages of the table, too."""
    paths = [str(path.relative_to(root)) for path in sorted((root / package).rglob("*.py"))]
    return [path for path in paths if package_of(path) == package]


def package_of(path: str) -> str | None:
    """The package of the table that a file belongs to, the innermost of several."""
    return max((package for package in TESTS if path.startswith(f"{package}/")), key=len, default=None)
