"""`LineMap`: which tests execute which lines, and so which tests a change to some lines asks for."""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from types import CodeType

from tests.mutation.recorder import OUTSIDE


@dataclass
class LineMap:
    """What was recorded on the unchanged source."""

    overhead_s: float
    """How long pytest takes beside the tests, to import and to collect them."""
    seconds: dict[str, float]
    """How long each test takes, by its node id."""
    lines: dict[str, dict[int, list[str]]]
    """Tests by path and line; "" among them where the line ran outside of any test."""
    blind: list[str]
    """Tests whose lines are not all known, since they trace lines themselves: every change asks for them."""
    digests: dict[str, str]
    """Of the files that the map was made from, by path."""

    @classmethod
    def load(cls, file: Path) -> LineMap | None:
        """The map that was kept, if there is one."""
        if not file.exists():
            return None
        content = json.loads(file.read_text(encoding="utf-8"))
        lines = content.pop("lines")
        return cls(**content, lines={p: {int(n): tests for n, tests in of.items()} for p, of in lines.items()})

    def save(self, file: Path) -> None:
        """Keep it; whoever is interrupted keeps the one before."""
        draft = file.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(self)), encoding="utf-8")
        draft.replace(file)

    def tests_for(self, path: str, source: str, changed: Collection[int]) -> list[str]:
        """The tests that executed a changed statement, quick files first.

        All tests, where it runs on import, was executed outside of any test, or by none: what a process that a test
        starts executes is not recorded. Those that executed anything of the file come first then.

        Args:
            path: of the changed file.
            source: its content before the change.
            changed: numbers of its lines.
        """
        lines = statement_lines(source, changed)
        known = self.lines.get(path, {})
        chosen = {test for line in lines for test in known.get(line, ())}
        if not chosen or OUTSIDE in chosen or lines & import_lines(source):
            near = {test for tests in known.values() for test in tests} & self.seconds.keys()
            return self._sorted(near) + self._sorted(self.seconds.keys() - near)
        return self._sorted(chosen | set(self.blind))

    def without(self, tests: Collection[str]) -> LineMap:
        """The map of the other tests."""
        lines = {path: {number: [test for test in of if test not in tests] for number, of in known.items()}
                 for path, known in self.lines.items()}  # fmt: skip
        seconds = {test: taken for test, taken in self.seconds.items() if test not in tests}
        blind = [test for test in self.blind if test not in tests]
        return LineMap(self.overhead_s, seconds, lines, blind, self.digests)

    def merged(self, other: LineMap) -> LineMap:
        """This map and a later one of other tests."""
        lines = {path: dict(known) for path, known in self.lines.items()}
        for path, known in other.lines.items():
            of = lines.setdefault(path, {})
            for number, tests in known.items():
                of[number] = sorted({*of.get(number, ()), *tests})
        seconds, blind = self.seconds | other.seconds, self.blind + other.blind
        return LineMap(max(self.overhead_s, other.overhead_s), seconds, lines, blind, self.digests)

    def _sorted(self, tests: Iterable[str]) -> list[str]:
        """Quick files first, and quick tests first in each: a file's tests may share what is made once."""
        ordered = sorted(tests, key=lambda test: (file_of(test), self.seconds[test]))
        files = [list(of) for _, of in groupby(ordered, file_of)]
        return [test for of in sorted(files, key=lambda of: sum(self.seconds[test] for test in of)) for test in of]


def file_of(test: str) -> str:
    """Path of the file of a test."""
    return test.partition("::")[0]


def stale_tests(kept: LineMap, digests: Mapping[str, str], sources: Collection[str]) -> set[str] | None:
    """What of a map has to be recorded again: paths of new or changed files of tests, and tests that touch a change.

    "" is among them where lines of a changed source were executed outside of any test.

    None where only a map made anew will do: a file is gone, or is neither a source nor named like one of tests.
    """
    changed = {path for path, digest in digests.items() if kept.digests.get(path) != digest}
    files = {path for path in changed if Path(path).name.startswith("test_")}
    if kept.digests.keys() - digests.keys() or changed - files - set(sources):
        return None
    touching = {test for path in changed & set(sources) for of in kept.lines.get(path, {}).values() for test in of}
    return files | {test for test in touching if file_of(test) not in files}


def statement_lines(source: str, changed: Collection[int]) -> set[int]:
    """Those lines and all others of the same statements; of one that has a block, its head."""
    heads = [range(node.lineno, _end_of_head(node) + 1) for node in ast.walk(ast.parse(source))
             if isinstance(node, ast.stmt | ast.ExceptHandler)]  # fmt: skip
    around = [min((head for head in heads if line in head), key=len, default=()) for line in changed]
    return {*changed, *(line for head in around for line in head)}


def import_lines(source: str) -> set[int]:
    """Lines that run when a file is imported: those of no function."""
    return set(_import_lines(compile(source, "", "exec", dont_inherit=True)))


def _end_of_head(node: ast.stmt | ast.ExceptHandler) -> int:
    block = getattr(node, "body", None) or getattr(node, "cases", None)
    if not block:
        return node.end_lineno or node.lineno
    first = block[0].pattern if isinstance(block[0], ast.match_case) else block[0]
    return max(node.lineno, first.lineno - 1)


def _import_lines(code: CodeType) -> Iterable[int]:
    if code.co_flags & inspect.CO_OPTIMIZED:
        return
    yield from (line for _, _, line in code.co_lines() if line)
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield from _import_lines(part)
