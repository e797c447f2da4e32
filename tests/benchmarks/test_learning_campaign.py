"""Tables that are run: what is there is kept, what is missing is made, and a run that fails takes no other with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.learning import campaign
from benchmarks.learning.campaign import records_of, run_table
from benchmarks.learning.records import Records
from benchmarks.learning.scores import read_scores
from benchmarks.learning.tables import list_runs
from benchmarks.learning.variants import Variant
from benchmarks.learning.workers import train_all
from rl.errors import ConfigError, DataError, RunExists
from tests.benchmarks.learning_runs import keep, made_up_record, small_spec
from tests.end_to_end.runs import ROOT

RUNNERS = "tests.benchmarks.learning_runs"


def call(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """A command of the benchmark, as it is typed."""
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.learning", *map(str, words)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_table_is_run_once_and_goes_on_where_it_was(tmp_path):
    folder = tmp_path / "results"
    done = call("run", "smoke", "--folder", folder)
    assert done.returncode == 0, done.stderr
    assert "smoke: 4 of 4 runs to do" in done.stdout
    assert "smoke: small, seed 1: 60 of 60 steps" in done.stdout
    file = folder / "smoke.jsonl"
    whole = file.read_text()
    records = [json.loads(line) for line in whole.splitlines()]
    assert [(one["variant"], one["seed"]) for one in records] == [
        (variant, seed) for variant in ("small", "small-standardised") for seed in (0, 1)
    ]
    assert all(one["machine"]["cores"] and one["evaluations"][-1]["cpu_s"] > 0 for one in records)
    assert "/" not in json.dumps(records[0]["settings"]).replace("envs/", "")

    lines = whole.splitlines(keepends=True)
    file.write_text("".join(lines[:3]))
    assert "smoke: 1 of 4 runs to do" in call("run", "smoke", "--folder", folder).stdout
    again = file.read_text().splitlines(keepends=True)
    assert again[:3] == lines[:3]
    redone, first = json.loads(again[3]), records[3]
    assert [one["returns"] for one in redone["evaluations"]] == [one["returns"] for one in first["evaluations"]]

    report = call("report", "smoke", "--folder", folder)
    assert report.returncode == 0, report.stderr
    assert report.stdout == (folder / "smoke.md").read_text()
    assert (folder / "smoke.png").stat().st_size > 10_000


def test_what_is_asked_wrongly_is_one_sentence(tmp_path):
    done = call("report", "smoke", "--folder", tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: no run of small, small-standardised is recorded yet")


def test_a_failed_run_takes_no_other_with_it():
    specs = [small_spec(seed=seed, how=Variant("x", runner=f"{RUNNERS}:{name}"))
             for seed, name in enumerate(("echo", "fail", "crash", "echo"))]  # fmt: skip
    found = {spec.seed: evaluations for spec, evaluations in train_all(specs, 2)}
    assert {seed: one and one[0].env_steps for seed, one in found.items()} == {0: 0, 1: None, 2: None, 3: 3}


def test_no_run_outlives_a_program_that_is_killed(tmp_path):
    told = tmp_path / "pid"
    program = (
        "from pathlib import Path\nfrom benchmarks.learning.variants import Variant\n"
        "from benchmarks.learning.workers import train_all\nfrom tests.benchmarks.learning_runs import small_spec\n"
        f"spec = small_spec(how=Variant('x', runner='{RUNNERS}:hang'), demos=Path({str(told)!r}))\n"
        "if __name__ == '__main__':\n    list(train_all([spec], 1))\n"
    )
    script = tmp_path / "program.py"
    script.write_text(program)
    process = subprocess.Popen([sys.executable, script], env={**os.environ, "PYTHONPATH": str(ROOT)})
    while not told.exists():
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    while is_running(int(told.read_text())):
        pass


def is_running(pid: int) -> bool:
    """Whether a process is there, and not only as what nobody has waited for yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def recorded(tmp_path):
    """A table of which every run is recorded."""
    keep(tmp_path / "smoke.jsonl", [
        made_up_record(spec.variant, spec.seed, [0.0, 0.5, 1.0], table="smoke", settings=spec.settings())
        for spec in list_runs("smoke")
    ])  # fmt: skip
    return tmp_path


def test_runs_with_other_settings_are_made_again_and_failures_are_counted(recorded, monkeypatch, capsys):
    monkeypatch.setattr(campaign, "find_demonstrations", lambda spec, folder: None)
    monkeypatch.setattr(campaign, "train_all", lambda specs, jobs: [(spec, None) for spec in specs])
    assert run_table("smoke", 1, recorded) == 0
    assert "smoke: 0 of 4 runs to do" in capsys.readouterr().out
    [first, *others] = list_runs("smoke")
    records = records_of("smoke", recorded)
    record = records.find(first)
    assert record is not None
    records.add(record.model_copy(update={"settings": {**record.settings, "episodes": 2}}))
    assert records.is_outdated(first)
    assert not any(records.is_outdated(spec) for spec in others)
    assert run_table("smoke", 1, recorded) == 1
    assert f"{first.name}: failed" in capsys.readouterr().out
    assert records_of("smoke", recorded).is_outdated(first), "a failure overwrites no record"


def test_a_record_of_before_an_option_was_there_stands_for_its_default(recorded):
    """Options are added switched off; what had none of them is a run of today's default, and of no other value."""
    records = records_of("smoke", recorded)
    [first, *_] = list_runs("smoke")
    record = records.find(first)
    assert record is not None
    training = record.settings["training"]
    agent = {name: value for name, value in training["agent"].items() if name != "proposal"}
    before = {name: value for name, value in training.items() if name != "goals"} | {"agent": agent}
    records.add(record.model_copy(update={"settings": {**record.settings, "training": before}}))
    assert not records.is_outdated(first)
    how = Variant(first.how.preset, {**first.how.options, "agent.proposal.acts": True})
    assert records.is_outdated(replace(first, how=how))
    assert {one.variant: len(one.seeds) for one in read_scores(records, ["small"])} == {"small": 2}


def test_two_at_once_do_not_run_one_table(recorded):
    with campaign._alone(recorded / "smoke.lock"), pytest.raises(RunExists, match="another process runs this table"):
        run_table("smoke", 1, recorded)


def test_no_process_at_all_is_refused(recorded):
    with pytest.raises(ConfigError, match="--jobs must be at least 1, not 0"):
        run_table("smoke", 0, recorded)


def test_a_file_that_was_changed_by_hand_is_refused_with_its_line(recorded):
    file = recorded / "smoke.jsonl"
    file.write_text(file.read_text() + '{"table": "smoke"}\n')
    with pytest.raises(DataError, match="line 5 is no record"):
        Records(file)
