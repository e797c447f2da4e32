"""The packages of the peers: the versions that they are measured with, and a sentence where one is not installed."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rl.errors import ConfigError, MissingExtra

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
_INSTALL = "pip install -r benchmarks/learning/peers/requirements.txt"


def find_pins(packages: Iterable[str], requirements: Path = REQUIREMENTS) -> dict[str, str]:
    """The versions of packages, by their names.

    Raises:
        ConfigError: the file has no version of one.
    """
    lines = requirements.read_text(encoding="utf-8").splitlines()
    pins = {name: pin for name, operator, pin in (line.partition("==") for line in lines) if operator}
    if unknown := sorted(set(packages) - set(pins)):
        raise ConfigError(f"{requirements.name} has no version of {', '.join(unknown)}: add a line NAME==VERSION")
    return {name: pins[name] for name in packages}


def require_packages(packages: Iterable[str], requirements: Path = REQUIREMENTS) -> None:
    """Raise `MissingExtra` unless these packages are installed in the versions of the requirements file."""
    for name, pin in find_pins(packages, requirements).items():
        found = _installed(name)
        if found != pin:
            instead = "it is not installed" if found is None else f"{found} is installed"
            raise MissingExtra(
                f"a peer of this table is measured with {name} {pin}, and {instead}: {_INSTALL}, or name the variants "
                "to run with --variants"
            )


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
