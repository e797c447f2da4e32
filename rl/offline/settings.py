"""`SettingsFile`: the options of a training, kept in its directory so that it can go on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter

from rl.errors import ConfigError

Options = TypeVar("Options")


class SettingsFile(Generic[Options]):
    """Options of one kind, as JSON.

    Args:
        kind: a dataclass.
        name: of the file, in the directory of every training of this kind.
        before: what trainings of earlier versions did, by options that their files do not hold.
    """

    def __init__(self, kind: type[Options], name: str, before: Mapping[str, Any] | None = None) -> None:
        self._before = dict(before or {})
        self._adapter: TypeAdapter[Options] = TypeAdapter(kind)
        self.name = name

    def is_in(self, directory: Path) -> bool:
        """True if a training of this kind began in this directory."""
        return (directory / self.name).is_file()

    def read(self, directory: Path) -> Options:
        """The options of the training in this directory.

        Raises:
            ConfigError: they cannot be read.
        """
        try:
            stored = json.loads((directory / self.name).read_bytes())
            found = {**self._before, **stored} if isinstance(stored, dict) else stored
            return self._adapter.validate_json(json.dumps(found))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{directory / self.name} are no settings of this version: {error}") from error

    def write(self, directory: Path, options: Options) -> None:
        """Keep the options, instead of those that were there."""
        (directory / self.name).write_bytes(self._adapter.dump_json(options, indent=2) + b"\n")
