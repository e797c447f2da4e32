"""The groups that the tests are divided into: by the vendor's library that a test loads, and by folder."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).parent
_PARTS = {
    **dict.fromkeys(("rl", "golden", "benchmarks"), "learner"),
    **dict.fromkeys(("end_to_end", "docs", "examples"), "runs"),
    **dict.fromkeys(("faults", "mutation", "robotkit/calibration"), "faults"),
}
_REST = "laws"
_DRIVERS = "robotkit/drivers"
_WITHOUT_VENDORS = {"benchmarks", "robotkit/calibration", "docs", "end_to_end", "golden", "mutation", "rl"}
"""Folders whose tests load no vendor's library, whatever their names say."""


class Group(NamedTuple):
    """Some of the tests."""

    vendor: str
    """Value of `--vendor`: a native library that crashes takes no other group's results with it."""
    part: str = ""
    """Value of `--part`; empty for all of the vendor's tests."""

    @property
    def options(self) -> list[str]:
        """What tells pytest to run the group; each is one word, for pytest takes a second one to be a path."""
        return [f"--vendor={self.vendor}", *([f"--part={self.part}"] if self.part else [])]

    def has(self, node: str) -> bool:
        """Whether a test, as pytest names it, is one of the group's."""
        folder = _folder(Path(node.partition("::")[0].removeprefix(f"{TESTS.name}/")))
        return self._is_in(folder) and _vendor(node, folder) == self.vendor

    def may_have(self, path: Path) -> bool:
        """Whether there can be a test of the group in a file of the tests, or in a folder of them."""
        if TESTS not in path.parents:
            return True
        folder = _folder(path.relative_to(TESTS))
        return self._is_in(folder) or (path.is_dir() and any(map(self._is_in, _below(folder))))

    def _is_in(self, folder: str) -> bool:
        if self.vendor == "franka":
            return folder not in _WITHOUT_VENDORS
        if self.vendor == "others":
            return folder == _DRIVERS
        return folder != _DRIVERS and self.part in ("", _PARTS.get(folder, _REST))


PARTS = (_REST, *dict.fromkeys(_PARTS.values()))
"""Values of `--part`."""
VENDORS = ("none", "others", "franka")
_FIRST, *_LATER = (Group("none", part) for part in PARTS)
GROUPS = (_FIRST, *_LATER, Group("franka"), Group("others"))
"""Every test is in one of them, and only in one. The longest come first, to run beside all others."""


def _folder(path: Path) -> str:
    """The folder that decides on a path of the tests: right under `tests`, or one under `tests/robotkit`."""
    folders = path.parts if path.suffix != ".py" else path.parts[:-1]
    return "/".join(folders[: 2 if folders[:1] == ("robotkit",) else 1])


def _below(folder: str) -> list[str]:
    """Folders of `folder` that are in other groups than it."""
    return [one for one in (_DRIVERS, *_PARTS) if one.startswith(f"{folder}/")]


def _vendor(node: str, folder: str) -> str:
    if "franka" in node and folder not in _WITHOUT_VENDORS:
        return "franka"
    return "others" if folder == _DRIVERS else "none"
