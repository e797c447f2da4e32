"""`Mutant`: one small change to one file, with a name that survives changes elsewhere in the file."""

from __future__ import annotations

import ast
import difflib
import hashlib
import pickle
from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.ast.ast_query import ASTQuery
from cosmic_ray.mutating import MutationVisitor
from cosmic_ray.operators.operator import Operator

from tests.mutation.operators import OPERATORS


@dataclass(frozen=True)
class Mutant:
    """A change."""

    id: str
    """File, definition and a digest of the change: "robotkit/safety/robot.py SafeRobot.stop 3f2a91c0"."""
    path: str
    """Of the changed file, below the repository's root."""
    line: int
    operator: str
    code: str
    """The whole changed file."""
    change: str
    """The lines that differ, as in a patch."""
    changed: tuple[int, ...]
    """Numbers of those lines before the change."""


def mutants_of(root: Path, path: str, definitions: Container[str] | None = None) -> Iterator[Mutant]:
    """Every change to one file that compiles and is no change of a type annotation alone.

    Args:
        root: of the repository.
        path: of the file, below `root`.
        definitions: names of those to change, "module" for what is outside of any; None: all.
    """
    source = (root / path).read_text(encoding="utf-8")
    parsed, tree, seen = ast.dump(ast.parse(source)), get_ast(source), Counter[str]()
    kept = pickle.dumps(tree)  # never leaves this process; a copy is made in half the time that parsing takes
    for name, operator in OPERATORS.items():
        positions = [(node, start) for node in ast_nodes(tree) for start, _ in operator.mutation_positions(node)]
        for occurrence, (node, start) in enumerate(positions):
            definition = ASTQuery(node).get_definition_name() or "module"
            if definitions is not None and definition not in definitions:
                continue
            code = _mutated(pickle.loads(kept), operator, occurrence)
            if code is None or not _is_real(code, parsed) or _is_for_the_reader(node):
                continue
            change = _change(source, code)
            text = f"{path} {definition} {name} {change}"
            seen[text] += 1
            digest = hashlib.sha256(f"{text} {seen[text]}".encode()).hexdigest()[:8]
            mutant_id = f"{path} {definition} {digest}"
            yield Mutant(mutant_id, path, start[0], name, code, change, _changed_lines(source, code))


def _mutated(tree: Any, operator: Operator, occurrence: int) -> str | None:
    visitor = MutationVisitor(occurrence, operator)
    tree = visitor.walk(tree)
    code: str = tree.get_code()
    return code if visitor.mutation_applied else None


def _is_for_the_reader(node: Any) -> bool:
    """The star in `def f(*, x)` is no operator; assertions and frozen dataclasses speak to the type checker."""
    if node.parent is not None and node.parent.type == "parameters":
        return True
    while node is not None and node.type not in ("decorator", "assert_stmt"):
        node = node.parent
    return node is not None and node.get_code().strip().startswith(("@dataclass", "assert"))


def _is_real(code: str, parsed: str) -> bool:
    try:
        return ast.dump(ast.parse(code)) != parsed
    except SyntaxError:
        return False


def _change(source: str, code: str) -> str:
    lines = difflib.unified_diff(source.splitlines(), code.splitlines(), n=0, lineterm="")
    return "\n".join(line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---"))


def _changed_lines(source: str, code: str) -> tuple[int, ...]:
    """Where lines are put in those on both sides: of two statements that change places one is put before the other."""
    before, after = source.splitlines(), code.splitlines()
    blocks = [block for block in difflib.SequenceMatcher(None, before, after).get_opcodes() if block[0] != "equal"]
    places = [range(begin - 1, end + 1) if kind == "insert" else range(begin, end) for kind, begin, end, *_ in blocks]
    return tuple(sorted({line + 1 for place in places for line in place if 0 <= line < len(before)}))
