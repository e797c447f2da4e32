"""`Campaign`: tests the mutants of a package in a copy of the repository, and can be interrupted."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.mutation.line_map import LineMap, file_of, stale_tests
from tests.mutation.mutants import Mutant
from tests.mutation.recorder import OUTSIDE

_PATIENCE, _GRACE_S = 4.0, 30.0
"""A mutant that takes this many times as long as the unchanged source, and half a minute, is one that hangs."""
_HOME = Path(__file__).parents[2]
"""Of the plugin that records lines; the copy has its own, if it is one of this repository."""


class BrokenBaseline(Exception):
    """The tests do not pass on the unchanged source."""


@dataclass(frozen=True)
class Result:
    """What became of one mutant."""

    id: str
    outcome: str
    """"killed", "timeout" or "survived"."""
    seconds: float
    line: int
    change: str
    tests: int = 0
    """How many tests were run, or would have been without the failure."""
    failed: str = ""
    """The test that failed."""

    @property
    def is_noticed(self) -> bool:
        """True when a test failed, or never ended."""
        return self.outcome != "survived"


class Campaign:
    """All runs for one package.

    Args:
        root: of the repository, which is never changed.
        folder: for the copy, the map of the lines that tests execute, and the results, one JSON line for each mutant.
        tests: arguments of pytest: options and paths.
        sources: paths of the files whose lines are recorded.
    """

    def __init__(self, root: Path, folder: Path, tests: Iterable[str], sources: Iterable[str]) -> None:
        folder = folder.resolve()  # the tests run elsewhere
        self._root, self._tree, self._file = root, folder / "tree", folder / "results.jsonl"
        self._map_file, self._output = folder / "map.json", folder / "output.txt"
        arguments, self._sources = list(tests), list(sources)
        self._options = [one for one in arguments if one.startswith("-")]
        self._tests = [one for one in arguments if one not in self._options]
        self.results: dict[str, Result] = {}
        if self._file.exists():
            lines = self._file.read_text(encoding="utf-8").splitlines()
            self.results = {result.id: result for result in (Result(**json.loads(line)) for line in lines if line)}

    def forget(self, ids: Iterable[str]) -> None:
        """Run these mutants again."""
        for mutant_id in list(ids):
            self.results.pop(mutant_id, None)
        self._write()

    def forget_map(self) -> None:
        """Record again which lines the tests execute."""
        self._map_file.unlink(missing_ok=True)

    def prepare(self) -> LineMap:
        """Copy the repository and record unchanged which lines the tests execute, as far as no kept map says it.

        Raises:
            BrokenBaseline: they do not pass.
        """
        shutil.rmtree(self._tree, ignore_errors=True)
        for name in _files(self._root):
            target = self._tree / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self._root / name, target)
        self.map = self._recorded()
        return self.map

    def run(self, mutant: Mutant, is_confirmed: bool = False, is_repeated: bool = False) -> Result:
        """Test one mutant and keep what became of it.

        Args:
            mutant: the change.
            is_confirmed: run all tests before it counts as a survivor.
            is_repeated: a test has to fail twice before the change counts as noticed.
        """
        path = self._tree / mutant.path
        source = path.read_text(encoding="utf-8")
        tests = self.map.tests_for(mutant.path, source, mutant.changed)
        start_s = time.monotonic()
        path.write_text(mutant.code, encoding="utf-8")
        try:
            status, failed = self._try(tests, is_repeated)
            if status == 0 and is_confirmed and len(tests) < len(self.map.seconds):
                tests = list(self.map.seconds)
                status, failed = self._try(tests, is_repeated)
        finally:
            path.write_text(source, encoding="utf-8")
        outcome = {0: "survived", None: "timeout"}.get(status, "killed")
        seconds = round(time.monotonic() - start_s, 2)
        result = Result(mutant.id, outcome, seconds, mutant.line, mutant.change, len(tests), failed)
        self.results[mutant.id] = result
        self._write()
        return result

    def _try(self, tests: list[str], is_repeated: bool) -> tuple[int | None, str]:
        """The exit status of the tests, and which of them failed; `is_repeated`: the second time, too."""
        if not tests:
            return 0, ""
        status = self._test(["-x", *tests], self._limit_s(tests))
        failed = next(iter(self._failed()), "")
        if is_repeated and failed in tests and self._test([failed], self._limit_s([failed])) == 0:
            return self._try([test for test in tests if test != failed], is_repeated)
        return status, failed

    def _recorded(self) -> LineMap:
        """The kept map, with what it lacks; tests that fail are run a second time, and have to pass then."""
        digests, kept = self._digests(), LineMap.load(self._map_file)
        stale = None if kept is None else stale_tests(kept, digests, self._sources)
        if kept is None or stale is None:
            kept, asked = LineMap(0.0, {}, {}, [], {}), self._tests
        elif not stale:
            return kept
        else:
            kept = kept.without(stale | {test for test in kept.seconds if file_of(test) in stale})
            asked = sorted(stale - {OUTSIDE})
        recorded, failed = self._record(asked)
        lines = kept.merged(recorded.without(failed))
        if failed:
            files = {file_of(test) for test in failed}
            lines.digests = {path: digest for path, digest in digests.items() if path not in files}
            lines.save(self._map_file)
            recorded, failed = self._record(failed)
            if failed:
                raise BrokenBaseline(f"these fail on the unchanged source: {', '.join(failed)}; see {self._output}")
            lines = lines.merged(recorded)
        lines.digests = digests
        lines.save(self._map_file)
        return lines

    def _record(self, tests: list[str]) -> tuple[LineMap, list[str]]:
        """The map of some tests, and those of them that failed."""
        file = self._map_file.with_suffix(".new")
        options = ["-p", "tests.mutation.recorder", f"--lines-to={file}"]
        start_s = time.monotonic()
        status = self._test([*options, *(f"--lines-of={source}" for source in self._sources), *tests], None)
        failed = [] if status == 0 else self._failed()
        if status != 0 and not failed:
            words = f"pytest {' '.join(self._options + tests)} ends with status {status} on the unchanged source"
            raise BrokenBaseline(f"{words}; see {self._output}")
        content = json.loads(file.read_text(encoding="utf-8"))
        file.unlink()
        lines = {path: {int(number): of for number, of in known.items()} for path, known in content["lines"].items()}
        overhead_s = time.monotonic() - start_s - sum(content["seconds"].values())
        return LineMap(overhead_s, content["seconds"], lines, content["blind"], {}), failed

    def _digests(self) -> dict[str, str]:
        """Of the sources, and of all Python files that are or lie below a path of the tests."""
        paths = [self._tree / name for name in self._tests]
        files = [file for path in paths for file in ([path] if path.suffix == ".py" else sorted(path.rglob("*.py")))]
        names = [*self._sources, *(str(file.relative_to(self._tree)) for file in files)]
        return {name: hashlib.sha256((self._tree / name).read_bytes()).hexdigest() for name in names}

    def _limit_s(self, tests: list[str]) -> float:
        return _PATIENCE * (self.map.overhead_s + sum(self.map.seconds[test] for test in tests)) + _GRACE_S

    def _test(self, arguments: list[str], timeout_s: float | None) -> int | None:
        """The exit status of pytest in the copy; None when it had to be killed."""
        command = [sys.executable, "-m", "pytest", "-q", "-rfE", "-p", "no:cacheprovider", *self._options, *arguments]
        path = os.pathsep.join((str(self._tree), str(_HOME)))
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        with self._output.open("wb") as output:
            process = subprocess.Popen(command, cwd=self._tree, env=environment, start_new_session=True,
                                       stdout=output, stderr=subprocess.STDOUT)  # fmt: skip
        try:
            return process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        finally:
            with suppress(ProcessLookupError):  # also what the tests started and left behind
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            shutil.rmtree(self._tree / "sims" / "__pycache__", ignore_errors=True)  # compiled laws of this mutant

    def _failed(self) -> list[str]:
        """The tests that failed, as pytest's last words say."""
        output = self._output.read_text(encoding="utf-8", errors="replace")
        lines = output.rpartition(" short test summary info ")[2].splitlines()
        named = [line.partition(" ")[2].partition(" - ")[0] for line in lines if line.startswith(("FAILED ", "ERROR "))]
        return list(dict.fromkeys(named))

    def _write(self) -> None:
        draft = self._file.with_suffix(".draft")
        self._file.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text("".join(json.dumps(vars(r)) + "\n" for r in self.results.values()), encoding="utf-8")
        draft.replace(self._file)


def _files(root: Path) -> list[str]:
    """What git would commit, below `root`; everything, where there is no git."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=root, capture_output=True, text=True)
    names = (
        listed.stdout.splitlines() if listed.returncode == 0 else [str(p.relative_to(root)) for p in root.rglob("*")]
    )
    return [name for name in names if (root / name).is_file()]
