"""Learning curves of several runs: what is read, what is drawn over seeds, and what is kept."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from rl.plots.learning_curves import Evaluations, band, draw_runs, read_evaluations, write_table


def make_run(folder: Path, name: str, returns: dict[int, float], success: float | None = 0.5) -> Path:
    run = folder / name
    run.mkdir()
    rows = [
        {"step": step, "evaluation/episodes": 5, "evaluation/return_mean": value, "evaluation/return_std": 0.25}
        | ({} if success is None else {"evaluation/success_rate": success})
        for step, value in returns.items()
    ]
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ({"step": 1, "loss": 0.0}, *rows)))
    return run


@pytest.fixture
def figures(monkeypatch):
    saved: list[Figure] = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda figure, *given, **named: (saved.append(figure), save(figure, *given)))
    return saved


def test_a_band_is_the_median_and_the_range_over_seeds():
    steps = np.array((0.0, 10.0))
    found = band([(steps, np.array((low, high))) for low, high in ((1.0, 5.0), (2.0, 9.0), (6.0, 7.0))])
    np.testing.assert_array_equal(found.steps, steps)
    np.testing.assert_array_equal((found.low, found.median, found.high), ((1.0, 5.0), (2.0, 7.0), (6.0, 9.0)))


def test_a_band_ends_where_the_shortest_seed_ends_and_is_straight_between_evaluations():
    found = band([(np.array((0.0, 4.0)), np.array((0.0, 8.0))), (np.array((0.0, 3.0, 6.0)), np.array((2.0, 2.0, 2.0)))])
    np.testing.assert_array_equal(found.steps, (0.0, 3.0, 4.0))
    np.testing.assert_array_equal(found.median, (1.0, 4.0, 5.0))
    np.testing.assert_array_equal(found.high, (2.0, 6.0, 8.0))


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_the_range_of_n_seeds_holds_the_median_as_often_as_is_promised(seeds):
    draws = np.random.default_rng(0).uniform(size=(20_000, seeds))
    share = np.mean((draws.min(1) <= 0.5) & (draws.max(1) >= 0.5))
    assert share == pytest.approx(1.0 - 2.0 ** (1 - seeds), abs=0.01)


@pytest.mark.parametrize(
    ("run", "setting"),
    [
        ("demo-0", "demo"),
        ("demo-s12", "demo"),
        ("demo-20260131-120000-s2", "demo"),
        ("as_serl-3", "as_serl"),
        ("drq-demo-1", "drq-demo"),
        ("alone", "alone"),
    ],
)
def test_the_seed_and_the_time_are_no_part_of_a_setting(run, setting):
    assert Evaluations(run, np.zeros((0, 4))).setting == setting


def test_a_table_holds_everything_that_the_runs_have_measured(tmp_path):
    runs = read_evaluations([make_run(tmp_path, "a-0", {100: 2.5, 0: 1.5}), make_run(tmp_path, "a-1", {0: 3.0}, None)])
    write_table(runs, tmp_path / "table.csv")
    again = read_evaluations([tmp_path / "table.csv"])
    assert [run.run for run in again] == ["a-0", "a-1"]
    np.testing.assert_array_equal(again[0].values, [[0.0, 1.5, 0.25, 0.5], [100.0, 2.5, 0.25, 0.5]])
    np.testing.assert_array_equal(again[1].values, [[0.0, 3.0, 0.25, np.nan]])


def test_of_two_evaluations_after_one_step_the_later_one_is_drawn():
    run = Evaluations("a-0", np.array([[0.0, 1.0, 0.0, 0.0], [1000.0, 2.0, 0.0, 0.0], [1000.0, 3.0, 0.0, 0.0]]))
    np.testing.assert_array_equal(run.curve(1), [[0.0, 1.0], [1.0, 3.0]])


def test_settings_have_a_median_a_range_and_labels_with_units(tmp_path, figures):
    folders = [make_run(tmp_path, f"fixed-{seed}", {0: 1.0 + seed, 1000: 4.0 + seed}) for seed in range(3)]
    folders.append(make_run(tmp_path, "other-0", {0: 5.0, 1000: 6.0}))
    reference = tmp_path / "elsewhere.csv"
    reference.write_text("env_step,return_mean\n0,0.5\n1000,0.75\n")
    draw_runs(read_evaluations(folders), tmp_path / "curves.png", reference=reference)
    returns, success = figures[0].axes
    lines = {line.get_label(): line.get_xydata() for line in returns.lines if not line.get_label().startswith("_")}
    assert set(lines) == {"fixed, median of 3 seeds", "other, one seed", "elsewhere"}
    np.testing.assert_array_equal(lines["fixed, median of 3 seeds"], [[0.0, 2.0], [1.0, 5.0]])
    assert [patch.get_label() for patch in returns.collections] == ["fixed, lowest to highest seed"]
    assert (success.lines[-1].get_ydata() == 50.0).all()
    assert (returns.get_xlabel(), success.get_ylabel()) == (
        "environment steps (thousands)", "success (% of evaluation episodes)"
    )  # fmt: skip


@pytest.mark.parametrize("success", [None, 0.0])
def test_runs_without_a_success_have_one_panel(tmp_path, figures, success):
    draw_runs(read_evaluations([make_run(tmp_path, "a-0", {0: 1.0, 10: 2.0}, success)]), tmp_path / "curves.png")
    assert len(figures[0].axes) == 1


def test_returns_that_are_successes_are_drawn_once(tmp_path, figures):
    folders = [make_run(tmp_path, f"a-{seed}", {0: 0.5, 10: 0.5}, success=0.5) for seed in range(2)]
    draw_runs(read_evaluations(folders), tmp_path / "curves.png")
    (only,) = figures[0].axes
    assert only.get_ylabel() == "success (% of evaluation episodes)"
    assert only.get_legend() is not None
    draw_runs(read_evaluations([make_run(tmp_path, "b-0", {0: 0.0, 10: 0.0}, success=0.0)]), tmp_path / "none.png")
    assert [axes.get_ylabel()[:6] for axes in figures[1].axes] == ["return"]
