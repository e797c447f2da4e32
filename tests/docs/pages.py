"""The pages and the commands that they show: which are run, and why others are not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.end_to_end.runs import ROOT

PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))

NOT_RUN = {
    r"^make |^source |^mkdir |^export |^python3 -m venv|^done$": "sets the machine up, or is this very suite",
    r"^pip install": "needs a package index",
    r"^sudo |^uname |^ping |^printf |^SUBSYSTEM|^KERNEL|^RULES$|^ENV$|^ROBOTKIT_": "asks or changes a control PC",
    r"^jq |^sqlite3 ": "a program of its own, for files that other tests read",
    r"my_lab(?!\.toml$)|control-pc|gpu-pc|spacemouse|http://left": "needs a lab's devices; is parsed by test_docs.py",
    r"--device cuda": "needs a GPU",
    r"examples\.base_server": "serves until it is ended; tests/end_to_end runs it",
    r"--base ws://": "needs a served policy; tests/end_to_end has one",
    r"FILE|…": "stands for files of the reader's own",
    r"lerobot|--preset drq --replay.demos demos.sqlite$": "needs imported demonstrations; see tests/rl/interop",
    r"-train classifier .* --out classifier$": "needs frames of a lab; another page trains on simulated ones",
    r"--reward-classifier |runs/classifier|classifier retrain ": "needs a trained classifier; tests/end_to_end has one",
    r"peg_insert_20_demos|demo_data|resnet10|runs/serl|runs/converted": "needs files of SERL; see tests/rl/interop",
    r"^torchrun|-train (actor|evaluator) ": "several processes; tests/rl/training runs them",
    r"examples\.demo|examples\.learned_reward": "minutes; tests/examples and tests/end_to_end run their parts",
    r"benchmarks\.learning": "hours; tests/benchmarks runs a table of seconds",
    r"^examples/async": "tests/examples/test_runs.py runs it",
}
"""Why a command is not run by the tests of the pages, by a pattern that finds it."""


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def commands(page: Path) -> Iterator[str]:
    """The commands of a page in order, without comments, variables of the shell put in, each loop run once."""
    variables: dict[str, str] = {}
    for block in blocks(page, "bash"):
        text = re.sub(r"\n\s*(?=[^\"\n]*\"$)", " ", block.replace("\\\n", " "), flags=re.MULTILINE)
        for line in text.splitlines():
            command = line.partition("  #")[0].strip().removesuffix(" &")
            if set_to := re.fullmatch(r"([A-Z])=\"(.*)\"", command):
                variables[set_to[1]] = set_to[2]
            elif loop := re.fullmatch(r"for (\w+) in (\S+).*; do", command):
                variables[loop[1]] = loop[2]
            else:
                filled = re.sub(r"\$(\w+)", lambda name: variables.get(name[1], name[0]), command)
                yield from filter(None, filled.split(" && "))


def reason_not_to_run(command: str) -> str | None:
    """Why the command is not run; None where it is."""
    return next((reason for pattern, reason in NOT_RUN.items() if re.search(pattern, command)), None)
