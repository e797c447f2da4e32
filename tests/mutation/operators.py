"""The changes that are tried: a choice of cosmic-ray's operators, and three of our own for order, guards and locks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cosmic_ray.plugins
from cosmic_ray.operators.operator import Example, Operator
from parso.python.tree import Keyword

_CORE = (
    "AddNot", "NumberReplacer", "ReplaceAndWithOr", "ReplaceOrWithAnd", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue",
    "ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "ZeroIterationForLoop",
    "ReplaceUnaryOperator_USub_UAdd",
    *(f"ReplaceBinaryOperator_{pair}" for pair in ("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "Pow_Mul", "Mod_Mul")),
    *(f"ReplaceComparisonOperator_{pair}" for pair in ("Lt_LtE", "LtE_Lt", "Gt_GtE", "GtE_Gt")),
)  # fmt: skip
_NOT_DELETED = (
    "import_name", "import_from", "string", "pass_stmt", "global_stmt", "nonlocal_stmt",
    "assert_stmt",  # in the source they speak to the type checker alone
)  # fmt: skip


def _function_of(node: Any) -> str | None:
    """Name of the function around a node."""
    while node is not None and node.type != "funcdef":
        node = node.parent
    return None if node is None else node.name.value


def _is_deletable(line: Any) -> bool:
    if line.type != "simple_stmt" or _function_of(line) is None:
        return False
    first = line.children[0]
    if first.type == "expr_stmt" and first.children[1].type == "annassign" and "=" not in first.children[1].children:
        return False  # it declares a type, and does nothing
    return first.type not in _NOT_DELETED and getattr(first, "value", None) not in ("pass", "...")


class DeleteStatement(Operator):
    """Leaves out one statement of a function: a call, an assignment, a raise, a return."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        """One for each line that does something."""
        if _is_deletable(node):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """Put `pass` in its place."""
        first = node.children[0]
        node.children[0] = Keyword("pass", first.start_pos, prefix=first.get_first_leaf().prefix)
        return node

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """What it does."""
        return (Example("def f():\n    a()\n    b = 1\n", "def f():\n    a()\n    pass\n", occurrence=1),)


class SwapStatements(Operator):
    """Turns the order of two neighbouring effects around: calls, and assignments to attributes or items."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        """One for each pair of neighbours; in `__init__` nobody sees the order."""
        for one, other in _neighbours(node):
            yield one.start_pos, other.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """Exchange pair number `index` of the block."""
        place = node.children.index(list(_neighbours(node))[index][0])
        node.children[place : place + 2] = node.children[place : place + 2][::-1]
        return node

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """What it does."""
        return (Example("def f():\n    a()\n    b()\n", "def f():\n    b()\n    a()\n"),)


def _neighbours(block: Any) -> list[tuple[Any, Any]]:
    if block.type != "suite" or _function_of(block) == "__init__":
        return []
    pairs = zip(block.children, block.children[1:], strict=False)
    return [(one, other) for one, other in pairs if _has_effect(one) and _has_effect(other)]


def _has_effect(line: Any) -> bool:
    """True for what others can see: not for an assignment to local names, nor for what leaves the block."""
    if not _is_deletable(line):
        return False
    first = line.children[0]
    if first.type == "expr_stmt":
        target = first.children[0]
        names = target.children if target.type == "testlist_star_expr" else [target]
        return any(name.type not in ("name", "operator") for name in names)
    return first.type in ("atom_expr", "power", "await")


class DropContext(Operator):
    """Enters a block without its context manager: without the lock, without the clean-up."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        """One for each `with` that binds no name."""
        if node.type == "with_stmt" and not any(child.type == "with_item" for child in node.children):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """Write `if True` instead of `with ...`."""
        word, *_, colon, block = node.children
        always = Keyword("True", word.end_pos, prefix=" ")
        node.children = [Keyword("if", word.start_pos, prefix=word.prefix), always, colon, block]
        return node

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """What it does."""
        return (Example("with lock:\n    a()\n", "if True:\n    a()\n"),)


OPERATORS: dict[str, Operator] = {
    **{name: cosmic_ray.plugins.get_operator(f"core/{name}")() for name in _CORE},
    **{kind.__name__: kind() for kind in (DeleteStatement, SwapStatements, DropContext)},
}
"""Each by its name, in the order in which a file is changed."""
