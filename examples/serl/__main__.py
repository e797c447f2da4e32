"""`python -m examples.serl FOLDER/SCRIPT.sh FLAGS …` is a script of SERL's; without arguments it lists them."""

from __future__ import annotations

import difflib
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from examples.serl.scripts import SCRIPTS


def list_scripts() -> str:
    """Each script, and the command that it stands for."""
    return "\n".join(f"{name}\n    python -m {one.module} {' '.join(one.words)}" for name, one in SCRIPTS.items())


def main(arguments: Sequence[str]) -> None:
    """Start a script's program with its flags and those that are given."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(list_scripts())
        return
    name, *more = arguments
    if name not in SCRIPTS:
        close = difflib.get_close_matches(name, SCRIPTS, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise SystemExit(f"error: there is no script {name!r}.{hint} Known: {', '.join(SCRIPTS)}")
    command = SCRIPTS[name]
    Path("runs").mkdir(exist_ok=True)
    sys.argv = [command.module, *command.words, *more]
    runpy.run_module(command.module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
