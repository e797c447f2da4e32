"""What mkdocs calls while it builds the site: it adds the pages of the reference, which are stored nowhere."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import api_pages
import command_pages
import device_pages
import protocol_page
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
_FILLED = {
    "reference/api/index.md": api_pages.navigation,
    "reference/commands/index.md": command_pages.navigation,
}
"""Sections of the navigation that hold this page alone get the pages of these functions."""


@cache
def generated_pages() -> dict[str, str]:
    """Markdown of every generated page, by its path in the site."""
    return {
        "changelog.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
        "contributing.md": (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"),
        **command_pages.pages(ROOT),
        **device_pages.pages(),
        **protocol_page.pages(),
        **api_pages.pages(ROOT),
    }


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Fill the sections of the navigation whose pages are generated."""
    _fill(config.nav)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to those in `docs/`."""
    for path, content in generated_pages().items():
        files.append(File.generated(config, path, content=content))
    return files


def _fill(nav: Any) -> None:
    for section in nav:
        for title, entries in section.items() if isinstance(section, dict) else ():
            if isinstance(entries, list) and entries[0] in _FILLED:
                section[title] = _FILLED[entries[0]](ROOT)
            elif isinstance(entries, list):
                _fill(entries)
