"""The tables of the learning benchmark: variants, seeds, budget and evaluations that belong together."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.learning.tasks import TASKS, Task
from benchmarks.learning.variants import VARIANTS, Variant
from rl.errors import ConfigError


@dataclass(frozen=True)
class Table:
    """Runs that are compared: of each variant one with each seed."""

    task: str
    variants: tuple[str, ...]
    """Names; the first is the baseline, which the others are compared with."""
    steps: int
    """Environment steps of a run."""
    evaluate_every: int
    """Environment steps between two evaluations; there is one before the first step too, and one at the end."""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    episodes: int = 50
    """Episodes of an evaluation: the same starts in all evaluations of all runs."""
    shows_returns: bool = False
    """Whether the report shows returns beside successes: where hardly anybody succeeds, they tell who learns."""

    @property
    def grid(self) -> tuple[int, ...]:
        """Environment steps at which the policy is evaluated."""
        return (*range(0, self.steps, self.evaluate_every), self.steps)


TABLES: Mapping[str, Table] = {
    "pick-cube-state": Table(
        "pick-cube-state",
        (
            "demo",
            "demo-standardised",
            "demo-ibrl",
            "demo-proposal",
            "demo-proposal-standardised",
            "demo-residual",
            "demo-residual-steady",
            "demo-residual-unpenalised",
            "demo-residual-at-once",
            "demo-residual-raw-inputs",
            "demo-residual-random-steps",
        ),
        10_000,
        1_000,
    ),
    "peg-insertion-state": Table("peg-insertion-state", ("hil", "hil-residual-steady"), 4_000, 500),
    "pick-cube-state-alone": Table(
        "pick-cube-state-alone",
        ("demo", "sb3-sac", "sb3-tqc", "sbx-sac", "demo-standardised", "sbx-crossq", "sb3-crossq", "serl"),
        20_000,
        2_000,
        shows_returns=True,
    ),
    "pick-cube-pixels": Table(
        "pick-cube-pixels", ("drq-demo", "drq-demo-residual-steady", "drq-demo-residual-wide"), 10_000, 2_000
    ),
    "pick-cube-pixels-exploratory": Table(
        "pick-cube-pixels", ("drq-demo", "drq-demo-lite0"), 3_000, 1_500, seeds=(0,), episodes=20, shows_returns=True
    ),
    "smoke": Table("pick-cube-state-1", ("small", "small-standardised"), 60, 30, seeds=(0, 1), episodes=1),
}
"""Tables by their names."""


@dataclass(frozen=True)
class RunSpec:
    """Everything that a runner needs for one run."""

    table: str
    task: Task
    variant: str
    how: Variant
    """The variant of that name."""
    seed: int
    steps: int
    grid: tuple[int, ...]
    episodes: int
    demos: Path | None = None
    """File of the demonstrations; None without any."""

    @property
    def name(self) -> str:
        """The name of the run in messages."""
        return f"{self.table}: {self.variant}, seed {self.seed}"

    def settings(self) -> dict[str, Any]:
        """All that the result depends on, as it is read from JSON: equal settings, equal evaluations."""
        facts = {
            "task": asdict(self.task),
            "grid": self.grid,
            "episodes": self.episodes,
            "training": self.how.settings(self.task, self.seed, self.steps),
        }
        plain: dict[str, Any] = json.loads(json.dumps(facts))
        return plain


def find_table(name: str) -> Table:
    """The table of this name.

    Raises:
        ConfigError: there is none.
    """
    if name not in TABLES:
        close = difflib.get_close_matches(name, TABLES, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ConfigError(f"no table is named {name!r}.{hint} Known: {', '.join(TABLES)}")
    return TABLES[name]


def list_runs(name: str, variants: Sequence[str] = ()) -> list[RunSpec]:
    """The runs of a table: all variants with the first seed, then with the second, so that pairs are soon complete.

    Args:
        name: of the table.
        variants: those to list; all by default.

    Raises:
        ConfigError: there is no such table, or it has no such variant.
    """
    table = find_table(name)
    if unknown := [variant for variant in variants if variant not in table.variants]:
        raise ConfigError(f"the table {name!r} has no variant {unknown[0]!r}; it has {', '.join(table.variants)}")
    return [
        RunSpec(name, TASKS[table.task], variant, VARIANTS[variant], seed, table.steps, table.grid, table.episodes)
        for seed in table.seeds
        for variant in variants or table.variants
    ]
