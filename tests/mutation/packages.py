"""Which tests are run for a change to which package; the quick ones first, since the first failure ends a run."""

from __future__ import annotations

from pathlib import Path

TESTS = {
    "robotkit/safety": (
        "tests/robotkit/safety", "tests/robotkit/test_cell_steps.py", "tests/faults",
    ),
    "robotkit/devices": (
        "tests/robotkit/devices/test_machine.py", "tests/robotkit/devices", "tests/faults/test_*order.py",
        "tests/robotkit/safety", "tests/robotkit/drivers/test_fake.py", "tests/robotkit/test_workcell.py",
        "tests/faults", "tests/contracts",
    ),
    "robotkit/drivers": (
        "tests/robotkit/drivers/test_fake*.py", "tests/robotkit/test_kinematics.py",
        "tests/robotkit/drivers/test_options.py", "tests/robotkit/drivers/test_*_steps.py",
        "tests/robotkit/drivers/test_franka_l*.py", "tests/robotkit/drivers/test_franka_orders.py",
        "tests/robotkit/drivers", "tests/contracts", "tests/faults/test_interleavings.py",
    ),
    "robotkit/remote": ("tests/robotkit/remote", "tests/contracts"),
    "robotkit/schema": ("tests/robotkit/schema", "tests/robotkit", "tests/contracts"),
    "servers": ("tests/servers", "tests/robotkit/remote"),
    "sims": ("tests/sims",),
}  # fmt: skip
"""Paths or patterns of the tests, by package; those that do not exist are passed over."""


def find_tests(root: Path, package: str) -> list[str]:
    """Paths of the tests for `package`, below `root`."""
    return [str(path.relative_to(root)) for pattern in TESTS[package] for path in sorted(root.glob(pattern))]


def sources_of(root: Path, package: str) -> list[str]:
    """Paths of the Python files of `package`, below `root`."""
    return [str(path.relative_to(root)) for path in sorted((root / package).rglob("*.py"))]
