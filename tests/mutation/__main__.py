"""`python -m tests.mutation [PACKAGE ...]`: how many small changes to the source the tests notice."""

from __future__ import annotations

import argparse
import random
import sys
import tomllib
from pathlib import Path

from tests.mutation.mutants import Mutant, mutants_of
from tests.mutation.packages import TESTS, find_tests, package_of, sources_of
from tests.mutation.runner import BrokenBaseline, Campaign

ROOT = Path(__file__).parents[2]
SURVIVORS = Path(__file__).with_name("survivors.toml")


def main(arguments: list[str] | None = None) -> int:
    """Run, report, and return 1 when a change goes unnoticed without a reason."""
    parser = argparse.ArgumentParser(prog="make mutate", description=__doc__)
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help=f"of: {', '.join(TESTS)}; all without any")
    parser.add_argument("--limit", type=int, help="run at most this many mutants of each package, chosen by chance")
    parser.add_argument("--seed", type=int, default=0, help="of that choice")
    parser.add_argument(
        "--confirm",
        action="store_true",
        help="run all tests of the package where those that execute the changed lines notice nothing",
    )
    parser.add_argument("--twice", action="store_true", help="a test has to fail twice; for a busy machine")
    parser.add_argument("--again", action="store_true", help="run survivors again, after tests were added")
    parser.add_argument("--fresh", action="store_true", help="forget all that is kept of the packages first")
    parser.add_argument("--folder", type=Path, default=ROOT / ".mutation", help="where copies and results are kept")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.packages) - set(TESTS))
    if unknown:
        parser.error(f"no tests are known for {', '.join(unknown)}; known packages: {', '.join(TESTS)}")
    reasons = tomllib.loads(SURVIVORS.read_text(encoding="utf-8"))
    return max(run_package(package, options, reasons) for package in options.packages or TESTS)


def run_package(package: str, options: argparse.Namespace, reasons: dict[str, str]) -> int:
    """Run what is left to run of one package and print its report."""
    mutants = {mutant.id: mutant for path in sources_of(ROOT, package) for mutant in mutants_of(ROOT, path)}
    campaign = Campaign(ROOT, options.folder / package.replace("/", "."), find_tests(ROOT, package),
                        sources_of(ROOT, package))  # fmt: skip
    if options.fresh:
        campaign.forget_map()
    stale = [name for name, result in campaign.results.items()
             if options.fresh or name not in mutants or (options.again and not result.is_noticed)]  # fmt: skip
    campaign.forget(stale)
    pending = [mutant for name, mutant in mutants.items() if name not in campaign.results and name not in reasons]
    random.Random(options.seed).shuffle(pending)
    run_mutants(campaign, pending[: options.limit], options.confirm, options.twice)
    return report(package, mutants, campaign, reasons)


def run_mutants(campaign: Campaign, pending: list[Mutant], is_confirmed: bool, is_repeated: bool) -> None:
    """Test each; results are kept one by one, so that an interrupted run goes on where it was."""
    if not pending:
        return
    try:
        lines = campaign.prepare()
    except BrokenBaseline as broken:
        sys.exit(str(broken))
    all_s = lines.overhead_s + sum(lines.seconds.values())
    print(f"{len(pending)} mutants to run; all {len(lines.seconds)} tests take {all_s:.1f} s on the unchanged source, "
          f"{lines.overhead_s:.1f} s of them to begin", flush=True)  # fmt: skip
    for number, mutant in enumerate(pending, 1):
        result = campaign.run(mutant, is_confirmed, is_repeated)
        print(f"[{number}/{len(pending)}] {result.outcome:8} {result.seconds:6.1f} s  {result.tests} tests  {result.id}"
              f"  {result.failed}", flush=True)  # fmt: skip


def report(package: str, mutants: dict[str, Mutant], campaign: Campaign, reasons: dict[str, str]) -> int:
    """Print the score and every survivor without a reason; 1 when there is one, or a reason without a mutant."""
    results = campaign.results
    survivors = [result for result in results.values() if not result.is_noticed]
    known = [name for name in mutants if name in reasons]
    obsolete = [name for name in reasons if package_of(name.split()[0]) == package and name not in mutants]
    for result in survivors:
        print(f"\nsurvived: {result.id} (line {result.line})\n{result.change}")
    for name in obsolete:
        print(f"\ntests/mutation/survivors.toml: {name} does not exist any more; remove it")
    noticed = len(results) - len(survivors)
    share = f"{noticed / len(results):.1%}" if results else "nothing run"
    print(f"\n{package}: {noticed} of {len(results)} mutants noticed ({share}); {len(known)} equivalent by "
          f"survivors.toml, {len(mutants) - len(results) - len(known)} not run yet")  # fmt: skip
    return int(bool(survivors or obsolete))


if __name__ == "__main__":
    sys.exit(main())
