"""The text of a workcell file, in which single values can be replaced; comments and order are kept."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

from robotkit.errors import InvalidConfiguration

_KEY = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


def parse_assignment(assignment: str) -> tuple[str, str]:
    """Key and value of "KEY=VALUE".

    Raises:
        InvalidConfiguration: it is none.
    """
    key, separator, value = assignment.partition("=")
    if not separator or not _KEY.fullmatch(key.strip()) or not value.strip():
        raise InvalidConfiguration(f"--set {assignment}: expected is KEY=VALUE, such as robot.model=panda")
    return key.strip(), value.strip()


def with_value(text: str, key: str, value: str) -> str:
    """`text` with `key` set; a table or a key that is not there is added.

    Args:
        text: valid TOML, each of whose values stands on one line.
        key: dotted.
        value: TOML, or any text, which is taken as a string; so is everything where a string stands now.

    Raises:
        InvalidConfiguration: a value cannot stand there.
    """
    literal = _literal(value, _value_at(tomllib.loads(text), key))
    result = _replaced(text, key, literal)
    try:
        found = _value_at(tomllib.loads(result), key)
    except tomllib.TOMLDecodeError:
        found = None
    if found != tomllib.loads(f"x = {literal}")["x"]:
        raise InvalidConfiguration(f"{key} = {literal} cannot be put into the template; write the file, then edit it")
    return result


def _replaced(text: str, key: str, literal: str) -> str:
    table, _, name = key.rpartition(".")
    lines, current, end = text.splitlines(), "", None if table else 0
    for index, line in enumerate(lines):
        header = re.match(r"\s*(\[+)\s*([^\]]+?)\s*\]", line)
        if header:
            current = header[2] if header[1] == "[" else "[[" + header[2]
        elif current != table:
            continue
        elif found := re.match(rf"(\s*{re.escape(name)}\s*=\s*)(.*)", line):
            comment = _comment(found[2])
            column = len(line) - len(comment.lstrip())
            lines[index] = f"{found[1] + literal + '  ':{column}}{comment.lstrip()}" if comment else found[1] + literal
            return "\n".join(lines) + "\n"
        if current == table and (header or line.strip()):
            end = index + 1
    if end is None:
        lines += ["", f"[{table}]"]
        end = len(lines)
    lines.insert(end, f"{name} = {literal}")
    return "\n".join(lines) + "\n"


def _literal(value: str, present: Any) -> str:
    """`value` as TOML."""
    try:
        parsed = tomllib.loads(f"x = {value}")
    except tomllib.TOMLDecodeError:
        parsed = {}
    is_literal = parsed.keys() == {"x"} and (not isinstance(present, str) or isinstance(parsed["x"], str))
    return value if is_literal else json.dumps(value, ensure_ascii=False)


def _comment(rest: str) -> str:
    """The comment behind a value, with the blanks before it; "" when there is none."""
    for found in re.finditer(r"\s*#", rest):
        try:
            tomllib.loads(f"x = {rest[: found.start()]}")
        except tomllib.TOMLDecodeError:
            continue
        return rest[found.start() :]
    return ""


def _value_at(content: dict[str, Any], key: str) -> Any:
    found: Any = content
    for part in key.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found
