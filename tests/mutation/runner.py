"""`Campaign`: runs the tests of a package against its mutants, in a copy of the repository, and can be interrupted."""

from __future__ import annotations

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

from tests.mutation.mutants import Mutant

_PATIENCE, _GRACE_S = 4.0, 30.0
"""A mutant that takes this many times as long as the unchanged source, and half a minute, is one that hangs."""


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

    @property
    def is_noticed(self) -> bool:
        """True when a test failed, or never ended."""
        return self.outcome != "survived"


class Campaign:
    """All runs for one package.

    Args:
        root: of the repository, which is never changed.
        folder: for the copy and the results, one JSON line for each mutant.
        tests: arguments of pytest.
    """

    def __init__(self, root: Path, folder: Path, tests: Iterable[str]) -> None:
        self._root, self._tree, self._file = root, folder / "tree", folder / "results.jsonl"
        self._tests = list(tests)
        self.results: dict[str, Result] = {}
        if self._file.exists():
            lines = self._file.read_text(encoding="utf-8").splitlines()
            self.results = {result.id: result for result in (Result(**json.loads(line)) for line in lines if line)}

    def forget(self, ids: Iterable[str]) -> None:
        """Run these mutants again."""
        for mutant_id in list(ids):
            self.results.pop(mutant_id, None)
        self._write()

    def prepare(self) -> float:
        """Copy the repository and run the tests unchanged; how long they took, in s.

        Raises:
            BrokenBaseline: they do not pass.
        """
        shutil.rmtree(self._tree, ignore_errors=True)
        for name in _files(self._root):
            target = self._tree / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self._root / name, target)
        start_s = time.monotonic()
        status = self._test(None)
        if status != 0:
            raise BrokenBaseline(f"pytest {' '.join(self._tests)} ends with status {status} on the unchanged source")
        return time.monotonic() - start_s

    def run(self, mutant: Mutant, baseline_s: float) -> Result:
        """Test one mutant and keep what became of it."""
        path = self._tree / mutant.path
        source = path.read_text(encoding="utf-8")
        start_s = time.monotonic()
        path.write_text(mutant.code, encoding="utf-8")
        try:
            status = self._test(_PATIENCE * baseline_s + _GRACE_S)
        finally:
            path.write_text(source, encoding="utf-8")
        outcome = {0: "survived", None: "timeout"}.get(status, "killed")
        result = Result(mutant.id, outcome, round(time.monotonic() - start_s, 2), mutant.line, mutant.change)
        self.results[mutant.id] = result
        self._write()
        return result

    def _test(self, timeout_s: float | None) -> int | None:
        """The exit status of pytest in the copy; None when it had to be killed."""
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *self._tests]
        environment = {**os.environ, "PYTHONPATH": str(self._tree), "PYTHONDONTWRITEBYTECODE": "1"}
        process = subprocess.Popen(command, cwd=self._tree, env=environment, start_new_session=True,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        try:
            return process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        finally:
            with suppress(ProcessLookupError):  # also what the tests started and left behind
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            shutil.rmtree(self._tree / "sims" / "__pycache__", ignore_errors=True)  # compiled laws of this mutant

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
