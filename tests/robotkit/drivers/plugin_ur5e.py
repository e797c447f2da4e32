"""The example plugin as pip would leave it: on the path, with the metadata that its pyproject.toml asks for."""

from __future__ import annotations

import tomllib
from pathlib import Path

PLUGIN = Path(__file__).parents[3] / "examples" / "plugin_ur5e"


def metadata_in(folder: Path) -> Path:
    """Write the plugin's distribution metadata, entry points included; returns what to put on the path."""
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text())["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder
