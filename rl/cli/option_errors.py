"""Errors of the parser of options, each as the one sentence that a command's error is."""

from __future__ import annotations

import contextlib
import difflib
import io
import re
from collections.abc import Iterator

from rl.errors import ConfigError

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_KNOWN = "Available subcommands: "
_RULE = re.compile(r"[─-]{3,}")
_FORMS = (
    (r"Missing value for argument '[^-]*(-.+?)\W*'\. Expected 1 values?\.", "{0} needs a value"),
    (r"Missing value for argument '[^-]*(-.+?)\W*'\. Expected (\d+) values\.", "{0} needs {1} values"),
    (r"Error parsing (.+?): invalid literal for int\(\) with base 10: (.+)", "{0} must be a whole number, not {1}"),
    (r"Error parsing (.+?): could not convert string to float: (.+)", "{0} must be a number, not {1}"),
    (r"Error parsing (.+?): (.+)", "{0}: {1}"),
    (r"Expected one of \{(.+)\}\.", "{program} needs one of these commands: {0}"),
)


@contextlib.contextmanager
def refusals_as_sentences(program: str) -> Iterator[None]:
    """Let the parser of options refuse a command line in one sentence.

    Args:
        program: the program with its command, as it is typed.

    Raises:
        ConfigError: it refused the line.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            yield
    except SystemExit as ending:
        if ending.code != 2:
            raise
        raise ConfigError(sentence(said.getvalue(), program)) from None


def sentence(box: str, program: str) -> str:
    """The sentence for a box in which tyro says why it refuses a command line."""
    sections = _sections(box)
    texts = [" ".join(" ".join(lines).split()) for lines in sections]
    unknown = next((text for text in texts if text.startswith("Unrecognized")), "")
    known = next((text for text in texts if _KNOWN in text), "").partition(_KNOWN)[2]
    asked = re.sub(r" Available.*| Arguments are applied.*| \(applied to .+?\)", "", unknown.partition(": ")[2])
    if known:
        close = difflib.get_close_matches(asked, known.split(", "), n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        above = re.sub(r".* run:? (.+) --help.*", r"\1", texts[-1])
        return f"there is no command {asked!r}.{hint} `{above} --help` lists the commands"
    if unknown:
        close_option = _suggestion(asked, sections, program)
        return f"{program} does not take {asked}.{close_option} `{program} --help` shows the options"
    return f"{_refusal(sections[0], texts[0], program)}. `{program} --help` shows the options"


def _sections(box: str) -> list[list[str]]:
    """The parts of a box between its lines, without its frame, which may be of blanks, and its title."""
    sections: list[list[str]] = [[]]
    for line in _COLOUR.sub("", box).splitlines()[1:-1]:
        inner = line[1:-1].rstrip()
        if _RULE.fullmatch(inner.strip()):
            sections.append([])
        elif inner.strip():
            sections[-1].append(inner)
    return [lines for lines in sections if lines]


def _refusal(lines: list[str], text: str, program: str) -> str:
    if text.startswith("Missing from "):
        depth = min(len(line) - len(line.lstrip()) for line in lines[1:])
        needed = [line.strip() for line in lines[1:] if len(line) - len(line.lstrip()) == depth]
        return f"{program} needs {', '.join(needed)}"
    if choice := re.search(r"invalid choice '(.*)' for argument '(.+?)'\. Expected one of \((.+)\)", text):
        asked, option, listed = choice.groups()
        allowed = [word for word in re.findall(r"'(.*?)'", listed) if word != "None"]
        return f"{option} must be one of {', '.join(sorted(allowed))}, not {asked!r}"
    if place := re.fullmatch(r"Missing value for argument '(\w+)'\. Expected 1 values?\.", text):
        return f"{program} needs {place[1].upper()}, before the options and without a name"
    for pattern, form in _FORMS:
        if found := re.fullmatch(pattern, text):
            return form.format(*found.groups(), program=program)
    return text.rstrip(".")


def _suggestion(asked: str, sections: list[list[str]], program: str) -> str:
    """The option of this command that is most like the one that was given, where the parser finds any."""
    lines = next((lines for lines in sections if "you meant" in lines[0]), [])
    places = [line.strip() for line in lines if line.strip().startswith("in ")]
    found = [line.split()[0].rstrip(",") for line in lines if line.strip().startswith("--")]
    if not found or (places and f"in {program} --help" not in places):
        return ""
    closest = max(found, key=lambda option: difflib.SequenceMatcher(None, asked.split(",")[0], option).ratio())
    return f" Did you mean {closest}?"
