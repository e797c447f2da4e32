"""The command that draws the curves of several runs."""

from __future__ import annotations

import json

import pytest

from examples.demo import compare


def test_the_command_draws_runs_and_tables_and_leaves_every_evaluation(tmp_path, monkeypatch):
    run, table, out = tmp_path / "a-0", tmp_path / "other.csv", tmp_path / "curves.png"
    run.mkdir()
    values = {"episodes": 5, "return_mean": 1.5, "return_std": 0.0, "success_rate": 0.5}
    line = {"step": 100} | {f"evaluation/{name}": value for name, value in values.items()}
    (run / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    table.write_text("run,env_step,return_mean,return_std,success_rate\nb-0,0,1,0.5,0\nb-0,50,2,0.5,1\n")
    monkeypatch.setattr("sys.argv", ["compare", "--runs", str(run), str(table), "--out", str(out)])
    compare.main()
    assert out.stat().st_size > 10_000
    assert out.with_suffix(".csv").read_text().splitlines()[1:] == [
        "a-0,100,1.5,0,0.5",
        "b-0,0,1,0.5,0",
        "b-0,50,2,0.5,1",
    ]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("missing", "has no evaluations to draw"),
        ("missing.csv", "has no evaluations to draw"),
        ("foreign.csv", "has no evaluations to draw"),
        ("young", "holds no evaluation yet"),
    ],
)
def test_what_holds_no_evaluations_is_refused(name, said, tmp_path, monkeypatch, capsys):
    (tmp_path / "foreign.csv").write_text("a,b\n1,2\n")
    (tmp_path / "young").mkdir()
    (tmp_path / "young" / "metrics.jsonl").write_text("")
    monkeypatch.setattr("sys.argv", ["compare", "--runs", str(tmp_path / name), "--out", str(tmp_path / "a.png")])
    with pytest.raises(SystemExit) as ended:
        compare.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / name} {said}")
    assert not (tmp_path / "a.png").exists()
