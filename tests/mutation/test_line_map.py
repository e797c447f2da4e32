"""Which tests a change asks for: those that executed its lines, in threads too, and all where that says nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("cosmic_ray", reason="mutation testing needs the dev extra")
pytest.importorskip("coverage", reason="mutation testing needs the dev extra")

from tests.mutation.line_map import LineMap, import_lines, stale_tests, statement_lines
from tests.mutation.mutants import Mutant, mutants_of
from tests.mutation.runner import BrokenBaseline, Campaign

SOURCE = '''"""Pumps."""

MOST = 3


def fill(level):
    return min(
        level + 1,
        MOST,
    )


def empty(level):
    return level - 1


def wash():
    return 5


def idle():
    return 7


def describe(words={1: 2}):
    return words


NAME = describe()
'''
TEST = """import subprocess, sys, threading, time
import pytest
import pump

@pytest.fixture(scope="module")
def washed():
    return pump.wash()

@pytest.fixture(scope="module")
def worker():
    asked, answers, done = threading.Event(), [], threading.Event()
    def work():
        asked.wait()
        answers.append(pump.empty(3))
        done.set()
    thread = threading.Thread(target=work)
    thread.start()
    return asked, answers, done, thread

def test_slow():
    time.sleep(0.3)
    assert pump.fill(1) == 2

def test_first(washed, worker):
    assert washed == 5

def test_thread(worker):
    asked, answers, done, thread = worker
    asked.set()
    done.wait()
    thread.join()
    assert answers == [2]

def test_second(washed):
    assert washed

def test_process():
    assert subprocess.run([sys.executable, "-c", "import pump, sys; sys.exit(pump.idle())"]).returncode == 7

def test_tracer():
    sys.settrace(lambda *_: None)
    sys.settrace(None)

def test_quick():
    assert pump.fill(3) == 3
"""
FILE = "test_pump.py"
LATER = "test_later.py"


def name(test: str, file: str = FILE) -> str:
    return f"{file}::test_{test}"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    root.mkdir()
    (root / "pump.py").write_text(SOURCE)
    (root / FILE).write_text(TEST)
    return root


def prepared(repository: Path) -> Campaign:
    paths = sorted(path.name for path in repository.glob("test_*.py"))
    campaign = Campaign(repository, repository.parent / "kept", paths, ["pump.py"])
    campaign.prepare()
    return campaign


def number(text: str) -> int:
    return SOURCE.splitlines().index(text) + 1


def asked_for(lines: LineMap, text: str) -> list[str]:
    return lines.tests_for("pump.py", SOURCE, [number(text)])


def change(repository: Path, text: str) -> Mutant:
    return {mutant.change: mutant for mutant in mutants_of(repository, "pump.py")}[text]


def test_a_change_asks_for_the_tests_that_executed_its_statement(repository):
    lines = prepared(repository).map
    every = {name(test) for test in ("slow", "first", "thread", "second", "process", "tracer", "quick")}
    assert set(lines.seconds) == every
    filling = asked_for(lines, "        MOST,")  # in the middle of a statement
    assert set(filling) == {name("slow"), name("quick"), name("tracer")}  # a test with a tracer may execute anything
    assert filling == sorted(filling, key=lines.seconds.__getitem__), "quick ones first"
    assert filling == asked_for(lines, "        level + 1,")
    assert name("thread") in asked_for(lines, "    return level - 1")  # in a thread that another test started
    assert name("first") not in asked_for(lines, "    return level - 1")
    assert set(asked_for(lines, "    return 5")) == {name("first"), name("second"), name("tracer")}  # a shared fixture
    assert set(asked_for(lines, "MOST = 3")) == every  # on import
    assert set(asked_for(lines, "    return 7")) == every  # in another process alone
    assert set(asked_for(lines, "    return words")) == every  # before the first test


def test_all_tests_begin_with_those_that_executed_anything_of_the_file(repository):
    (repository / "test_a.py").write_text("def test_nothing():\n    pass\n")
    every = asked_for(prepared(repository).map, "MOST = 3")
    assert len(every) == 8
    assert set(every[-3:]) == {name("nothing", "test_a.py"), name("process"), name("tracer")}


def test_a_mutant_is_run_with_the_tests_of_its_lines_and_with_all_on_demand(repository):
    campaign = prepared(repository)
    mutant = change(repository, "-    return level - 1\n+    return level - 2")
    result = campaign.run(mutant)
    assert (result.tests, result.outcome, result.failed) == (2, "killed", name("thread"))
    hidden = change(repository, "-    return 7\n+    return 8")
    assert campaign.run(hidden).failed == name("process")
    campaign.map.lines["pump.py"][number("    return level - 1")] = [name("quick")]
    assert campaign.run(mutant).outcome == "survived"
    assert campaign.run(mutant, is_confirmed=True).failed == name("thread")


def test_a_kept_map_is_used_again_and_only_what_changed_is_recorded(repository):
    first = prepared(repository).map
    kept = repository.parent / "kept" / "map.json"
    written = kept.stat().st_mtime_ns
    assert prepared(repository).map == first  # as after an interruption
    assert kept.stat().st_mtime_ns == written
    (repository / LATER).write_text("import pump\n\n\ndef test_washed():\n    assert pump.wash() == 5\n")
    grown = prepared(repository).map
    assert name("washed", LATER) in asked_for(grown, "    return 5")
    assert first.seconds.items() <= grown.seconds.items()
    (repository / "pump.py").write_text(SOURCE.replace("    return 5", "    number = 5\n    return number"))
    shifted = prepared(repository).map
    assert shifted.seconds[name("process")] == first.seconds[name("process")]  # it has executed nothing here
    assert {name("first"), name("second"), name("washed", LATER)} <= set(
        shifted.lines["pump.py"][number("    return 5") + 1]
    )
    assert LineMap.load(kept) == shifted


BUSY = """from pathlib import Path

import pump


def test_busy():
    runs = Path("runs")
    runs.write_text((runs.read_text() if runs.exists() else "") + "x")
    assert {allowed}
    assert pump.wash() == 5
"""


def test_a_test_that_fails_once_is_run_again_and_one_that_fails_twice_costs_no_other_test_its_lines(repository):
    first = prepared(repository).map
    (repository / LATER).write_text(BUSY.format(allowed='runs.read_text() != "x"'))
    grown = prepared(repository).map
    assert name("busy", LATER) in asked_for(grown, "    return 5")
    (repository / LATER).write_text(BUSY.format(allowed="False"))
    with pytest.raises(BrokenBaseline, match=name("busy", LATER)):
        prepared(repository)
    kept = LineMap.load(repository.parent / "kept" / "map.json")
    assert kept.seconds == first.seconds
    assert LATER not in kept.digests
    (repository / LATER).write_text(BUSY.format(allowed="True"))
    mended = prepared(repository).map
    assert set(asked_for(mended, "    return 5")) == set(asked_for(grown, "    return 5"))
    assert first.seconds.items() <= mended.seconds.items()


def test_a_failure_that_does_not_come_again_is_not_counted_on_demand(repository):
    (repository / LATER).write_text(BUSY.format(allowed="len(runs.read_text()) not in (2, 3)"))
    campaign = prepared(repository)  # the first run
    mutant = change(repository, "-    return level - 1\n+    return level - 2")
    campaign.map.blind.clear()
    campaign.map.lines["pump.py"][number("    return level - 1")] = [name("busy", LATER)]
    assert campaign.run(mutant).failed == name("busy", LATER)
    assert campaign.run(mutant, is_repeated=True).outcome == "survived"


def test_a_map_is_made_anew_where_what_is_no_test_has_changed():
    kept = LineMap(1.0, {"test_a.py::test_a": 1.0}, {"a.py": {1: ["test_a.py::test_a"]}}, [],
                   {"a.py": "1", "test_a.py": "1", "cases.py": "1"})  # fmt: skip
    assert stale_tests(kept, kept.digests, ["a.py"]) == set()
    assert stale_tests(kept, kept.digests | {"a.py": "2"}, ["a.py"]) == {"test_a.py::test_a"}
    assert stale_tests(kept, kept.digests | {"a.py": "2", "test_a.py": "2"}, ["a.py"]) == {"test_a.py"}
    assert stale_tests(kept, kept.digests | {"test_b.py": "1"}, ["a.py"]) == {"test_b.py"}
    assert stale_tests(kept, kept.digests | {"cases.py": "2"}, ["a.py"]) is None
    assert stale_tests(kept, {"a.py": "1", "cases.py": "1"}, ["a.py"]) is None


@pytest.mark.parametrize(
    ("line", "together"),
    [(2, {1, 2, 3}), (4, {4}), (5, {5}), (7, {7}), (8, {8}), (10, {9, 10, 11}), (12, {12})],
)
def test_lines_of_a_statement_go_together_and_a_block_apart_from_its_head(line, together):
    source = (
        "if f(\n    1,\n):\n    a = 1\nelse:\n    try:\n        b = 1\n    except ValueError:\n"
        "        c = [\n            2,\n        ]\n    finally:\n        d = 1\n"
    )
    assert statement_lines(source, [line]) == together


def test_what_runs_on_import_is_outside_of_functions():
    source = (
        "import a\n\n\nclass B:\n    c = 1\n\n    @a.d\n    def e(self, f=2):\n"
        "        g = 3\n\n        def h():\n            pass\n"
    )
    assert import_lines(source) == {1, 4, 5, 7, 8}
