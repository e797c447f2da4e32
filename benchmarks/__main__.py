"""Runs every benchmark module in a process of its own, writes JSON and prints one table."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from rich.console import Console
from rich.table import Table

from benchmarks.machine import machine

MODULES = ("physics", "envs", "server", "franka", "replay", "link", "actors", "sac", "drq", "vision")
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Options:
    """Measure robotkit on this machine."""

    only: tuple[str, ...] = ()
    """Modules to run; all when empty. Known: physics envs server franka replay link actors sac drq vision."""
    quick: bool = False
    """Fewer repeats: for a look, not for quoting."""
    child: bool = False
    """Run in this very process and print JSON (used by the runner itself)."""


def measure(module: str, quick: bool) -> list[dict[str, Any]]:
    """Run one module in a fresh process, so that none inherits threads, caches or memory of another."""
    command = [sys.executable, "-m", "benchmarks", "--only", module, "--child", *(["--quick"] if quick else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"benchmarks.{module} failed with exit status {done.returncode}; its error is above")
    rows: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return rows


def show(console: Console, module: str, rows: Sequence[dict[str, Any]]) -> None:
    """Print one module's rows."""
    table = Table("what", "value", "unit", "note", title=module, title_justify="left")
    for row in rows:
        value = row["value"]
        table.add_row(
            row["name"], f"{value:,.4g}" if isinstance(value, float) else str(value), row["unit"], row["note"]
        )
    console.print(table)


def main() -> None:
    """Entry point of `python -m benchmarks`."""
    options = tyro.cli(Options, description=__doc__)
    if options.child:
        chosen = importlib.import_module(f"benchmarks.{options.only[0]}")
        print(json.dumps(chosen.run(options.quick)))
        return
    unknown = set(options.only) - set(MODULES)
    if unknown:
        raise SystemExit(f"no benchmark is named {', '.join(sorted(unknown))}; known: {', '.join(MODULES)}")
    console = Console()
    RESULTS.mkdir(exist_ok=True)
    for module in options.only or MODULES:
        start = machine()
        rows = measure(module, options.quick)
        report = {"when": time.strftime("%Y-%m-%dT%H:%M:%S"), "machine": start, "quick": options.quick, "rows": rows}
        (RESULTS / f"{module}.json").write_text(json.dumps(report, indent=1) + "\n")
        show(console, module, rows)
    console.print(f"written to {RESULTS}/*.json")


if __name__ == "__main__":
    main()
