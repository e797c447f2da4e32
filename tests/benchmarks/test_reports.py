"""What is said of made-up runs of the learning benchmark: estimates, pairs, refusals, the picture and the page."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from matplotlib.image import imread

from benchmarks.learning.campaign import RESULTS, records_of
from benchmarks.learning.curves import draw_scores, over_cpu_seconds
from benchmarks.learning.page import markers, picture_on_page, put_on_page
from benchmarks.learning.report import paired_differences, write_report
from benchmarks.learning.scores import read_measures, read_scores
from benchmarks.learning.tables import TABLES, Table
from rl.errors import DataError
from tests.benchmarks.learning_runs import keep, made_up_record
from tests.end_to_end.runs import ROOT

PAGE = ROOT / "docs" / "learning_benchmark.md"
TABLE = Table("made-up", ("base", "better"), 200, 100, seeds=(0, 1, 2))
RATES = ([0.0, 0.2, 0.4], [0.0, 0.5, 0.5], [0.1, 0.1, 0.8])


@pytest.fixture
def records(tmp_path):
    base = [made_up_record("base", seed, rates) for seed, rates in enumerate(RATES)]
    better = [made_up_record("better", seed, np.add(rates, 0.2)) for seed, rates in enumerate(RATES)]
    return keep(tmp_path / "test.jsonl", [*base, *better])


def cells(report: str, variant: str) -> list[str]:
    """The row of a variant in the first table of a report."""
    return next(line for line in report.splitlines() if line.startswith(f"| `{variant}`")).strip("| ").split(" | ")


def test_the_difference_of_a_variant_with_itself_is_zero(records):
    [base] = read_scores(records, ["base"])
    again = Table("made-up", ("base", "base"), 200, 100)
    assert [list(found) for found in paired_differences(base, base)] == [[0.0] * 3] * 2
    assert "baseline" in write_report("test", again, records, "test.png")


def test_pairs_show_a_gain_that_is_smaller_than_the_spread_over_seeds(records):
    row = cells(write_report("test", TABLE, records, "test.png"), "better")
    assert row[1] == "3"
    assert row[4:6] == ["20 % (20 to 20)"] * 2
    assert row[6] == "8"


def test_pairs_are_of_the_seeds_that_both_have_run(records):
    records.add(made_up_record("better", 7, [1.0, 1.0, 1.0]))
    base, better = read_scores(records, TABLE.variants)
    last, _ = paired_differences(better, base)
    np.testing.assert_allclose(last, 0.2)


def test_estimates_are_of_the_last_evaluation_and_of_all(records):
    row = cells(write_report("test", TABLE, records, "test.png"), "base")
    assert row[2].startswith("57 % (")
    assert row[3].startswith("28 % (")
    assert row[4:6] == ["baseline"] * 2


def test_without_its_baseline_a_variant_has_no_differences(tmp_path):
    records = keep(tmp_path / "test.jsonl", [made_up_record("better", 0, RATES[0])])
    report = write_report("test", TABLE, records, "test.png")
    assert cells(report, "better")[2:6] == ["40 %", "20 %", "–", "–"]
    assert "1 of 6 runs" in report


def test_where_no_success_is_reported_returns_count(tmp_path):
    told = made_up_record("base", 0, RATES[0])
    silent = [one.model_copy(update={"successes": None}) for one in told.evaluations]
    records = keep(tmp_path / "test.jsonl", [told.model_copy(update={"evaluations": tuple(silent)})])
    report = write_report("test", TABLE, records, "test.png")
    assert cells(report, "base")[2] == "4.00"
    assert "return at the end" in report


def test_a_table_that_asks_for_returns_shows_them_after_the_successes(records, tmp_path):
    table = dataclasses.replace(TABLE, shows_returns=True)
    report = write_report("test", table, records, "test.png")
    assert "![success and return of the table test](test.png)" in report
    successes, returns = report.split("| return at the end |")
    assert cells(successes, "better")[2:6] == cells(write_report("test", TABLE, records, "test.png"), "better")[2:6]
    assert cells(returns, "base")[2].startswith("5.67 (")
    assert cells(returns, "better")[4:6] == ["2.00 (2.00 to 2.00)"] * 2
    assert "return, `base`" in returns
    for name, shown in (("one", TABLE), ("both", table)):
        draw_scores(read_measures(records, shown), tmp_path / f"{name}.png")
    one, both = (imread(tmp_path / f"{name}.png").shape for name in ("one", "both"))
    assert both[:2] == (2 * one[0], one[1])


def test_where_no_success_is_reported_returns_are_shown_once(tmp_path):
    told = made_up_record("base", 0, RATES[0])
    silent = tuple(one.model_copy(update={"successes": None}) for one in told.evaluations)
    records = keep(tmp_path / "test.jsonl", [told.model_copy(update={"evaluations": silent})])
    shown = [
        write_report("test", dataclasses.replace(TABLE, shows_returns=asks), records, "") for asks in (False, True)
    ]
    assert shown[0] == shown[1]


def test_the_versions_of_other_libraries_are_told(records):
    peer = {"seed": 0, "packages": {"other": "1.2"}}
    settings = records.of("base")[0].settings | {"training": peer}
    records.add(made_up_record("peer", 0, RATES[0], settings=settings))
    with_peer = dataclasses.replace(TABLE, variants=(*TABLE.variants, "peer"))
    assert " Peers: other 1.2. Source: " in write_report("test", with_peer, records, "")
    assert "Peers" not in write_report("test", TABLE, records, "")


@pytest.mark.parametrize("name", ["episodes", "training"])
def test_runs_with_different_settings_are_not_compared(records, name):
    settings = records.of("base")[1].settings
    changed = {"episodes": 20, "training": {"seed": 1, "batch_size": 8}}[name]
    records.add(made_up_record("base", 1, RATES[1], settings={**settings, name: changed}))
    with pytest.raises(DataError, match="different settings"):
        write_report("test", TABLE, records, "test.png")


def test_a_table_without_runs_has_no_report(tmp_path):
    with pytest.raises(DataError, match="no run of base, better"):
        write_report("test", TABLE, keep(tmp_path / "test.jsonl", []), "test.png")


def test_curves_over_cpu_seconds_are_those_over_steps_where_a_step_costs_the_same(records, tmp_path):
    scores = read_scores(records, TABLE.variants)
    cpu_s, values = over_cpu_seconds(scores[0])
    assert (cpu_s[0], cpu_s[-1]) == (2.0, 8.0)
    np.testing.assert_allclose(values[:, [0, -1]], np.array(RATES)[:, [0, -1]])
    draw_scores([scores], tmp_path / "test.png")
    assert (tmp_path / "test.png").read_bytes().startswith(b"\x89PNG")


def test_a_report_takes_its_place_on_a_page_and_changes_nothing_else(tmp_path):
    page = tmp_path / "page.md"
    begin, end = markers("test")
    page.write_text(f"# Before\n\n{begin}\nold\n{end}\n\nafter\n")
    for _ in range(2):
        put_on_page(page, "test", "new\n")
        assert page.read_text() == f"# Before\n\n{begin}\n\nnew\n\n{end}\n\nafter\n"
    with pytest.raises(DataError, match="no place for the table 'other'"):
        put_on_page(page, "other", "new\n")


@pytest.mark.parametrize("name", TABLES)
def test_the_documentation_shows_what_the_records_say(name):
    """No figure of the page was written by hand, and none is older than its record."""
    records, (begin, end) = records_of(name, RESULTS), markers(name)
    recorded = any(records.of(variant) for variant in TABLES[name].variants)
    found = PAGE.read_text(encoding="utf-8").partition(begin)[2].partition(end)[0].strip()
    said = write_report(name, TABLES[name], records, picture_on_page(name)).strip() if recorded else ""
    assert found == said
    assert not recorded or (PAGE.parent / picture_on_page(name)).is_file()
