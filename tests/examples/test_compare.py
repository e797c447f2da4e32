"""Curves of several runs: what is drawn and what is kept."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot as plt

from examples.demo import compare


def make_run(folder: Path, name: str, returns: dict[int, float]) -> Path:
    run = folder / name
    run.mkdir()
    rows = [
        {"step": step, "evaluation/episodes": 5, "evaluation/return_std": 0.0, "evaluation/success_rate": 0.5}
        | {"evaluation/return_mean": value}
        for step, value in returns.items()
    ]
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ({"step": 1, "loss": 0.0}, *rows)))
    return run


@pytest.fixture
def runs(tmp_path):
    return (
        make_run(tmp_path, "fixed-0", {0: 1.0, 100: 2.0}),
        make_run(tmp_path, "original-0", {0: 5.0, 100: 6.0}),
        make_run(tmp_path, "fixed-1", {0: 3.0, 100: 4.0, 200: 9.0}),
    )


def test_a_setting_is_the_mean_over_the_steps_that_all_its_seeds_have(runs):
    _, (returns, success) = plt.subplots(1, 2)
    compare.draw_settings(runs, returns, success)
    means = {line.get_label(): line.get_xydata() for line in returns.lines if not line.get_label().startswith("_")}
    assert set(means) == {"fixed, mean of 2", "original, mean of 1"}
    np.testing.assert_array_equal(means["fixed, mean of 2"], [[0, 2.0], [100, 3.0]])


@pytest.mark.parametrize("flags", [(), ("--by-setting",)])
def test_the_command_leaves_a_picture_and_every_evaluation(runs, tmp_path, monkeypatch, flags):
    reference, out = tmp_path / "other.csv", tmp_path / "curves.png"
    reference.write_text("env_step,return_mean\n0,0.5\n100,0.75\n")
    arguments = ("--runs", *runs, "--out", out, "--reference", reference, *flags)
    monkeypatch.setattr("sys.argv", ["compare", *map(str, arguments)])
    compare.main()
    assert out.stat().st_size > 10_000
    with out.with_suffix(".csv").open() as file:
        rows = [(row["run"], row["env_step"], float(row["return_mean"])) for row in csv.DictReader(file)]
    assert len(rows) == 7
    assert ("fixed-1", "200", 9.0) in rows
