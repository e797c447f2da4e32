"""The groups that the tests are divided into: by the vendor's library that a test loads, and by folder."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).parent
_PARTS = {
    **dict.fromkeys(("end_to_end", "docs", "examples"), "runs"),
    **dict.fromkeys(("rl", "golden"), "learner"),
    **dict.fromkeys(("faults", "mutation", "calibration"), "faults"),
}
_REST = "laws"
_WITHOUT_VENDORS = {"calibration", "docs", "end_to_end", "golden", "mutation", "rl"}
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
        return TESTS not in path.parents or self._is_in(_folder(path.relative_to(TESTS)))

    def _is_in(self, folder: str) -> bool:
        if self.vendor == "franka":
            return folder not in _WITHOUT_VENDORS
        if self.vendor == "others":
            return folder == "drivers"
        return folder != "drivers" and self.part in ("", _PARTS.get(folder, _REST))


PARTS = (_REST, *dict.fromkeys(_PARTS.values()))
"""Values of `--part`."""
VENDORS = ("none", "others", "franka")
_FIRST, *_LATER = (Group("none", part) for part in PARTS)
GROUPS = (_FIRST, Group("franka"), *_LATER, Group("others"))
"""Every test is in one of them, and only in one. The longest come first, to run beside all others."""


def _folder(path: Path) -> str:
    """The folder right under `tests` that a path of the tests leads into; a file beside the folders is in none."""
    return path.parts[0] if path.suffix != ".py" or len(path.parts) > 1 else ""


def _vendor(node: str, folder: str) -> str:
    if "franka" in node and folder not in _WITHOUT_VENDORS:
        return "franka"
    return "others" if folder == "drivers" else "none"
