"""`SuccessGoal`: ends a run when the policy has learned, and stores what that took in the run's directory."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from rl.errors import ConfigError
from rl.training.callbacks import Evaluation
from rl.training.ready_callbacks import StopOnEvaluation
from rl.utils.run_directory import LEARNED

IN_A_ROW = 2
"""Evaluations that must be good, one after the other."""


@dataclass(frozen=True)
class Learned:
    """The result of a run that ended because it had learned."""

    at_least: float
    """Success rate that was asked for."""
    env_steps: int
    """Environment steps at the evaluation that decided."""
    minutes: float
    """Minutes since the learner was started, or resumed."""
    episodes: int
    """Episodes of the evaluation that decided."""
    success_rate: float
    success_low: float
    success_high: float
    """95 % confidence interval of the success rate."""

    @classmethod
    def load(cls, directory: Path) -> Self | None:
        """Return the result that a run stored; None where it did not end so."""
        file = directory / LEARNED
        return cls(**json.loads(file.read_text())) if file.exists() else None

    def save(self, directory: Path) -> None:
        """Store it in a run's directory."""
        (directory / LEARNED).write_text(json.dumps(asdict(self), indent=2) + "\n")

    def sentence(self) -> str:
        """Return the result in words."""
        return (
            f"learned after {self.env_steps:,} steps and {self.minutes:.1f} minutes: at least {self.at_least:.0%} "
            f"success in {IN_A_ROW} evaluations in a row, {self.success_rate:.0%} of {self.episodes} episodes in the "
            f"last one (95 % between {self.success_low:.0%} and {self.success_high:.0%})"
        )


class SuccessGoal:
    """Watches the evaluations of a run that starts now.

    Args:
        at_least: success rate at which the run ends, reached in `IN_A_ROW` evaluations in a row; None for never.
        directory: of the run.
    """

    def __init__(self, at_least: float | None, directory: Path) -> None:
        self._at_least, self._directory = at_least, directory
        self._rule = None if at_least is None else StopOnEvaluation(at_least, in_a_row=IN_A_ROW)
        self._began_s = time.monotonic()
        self.reached: Learned | None = None
        """Result of the run; None as long as it has not learned."""
        (directory / LEARNED).unlink(missing_ok=True)  # of the run's earlier end, which is continued now

    def note(self, env_steps: int, values: Mapping[str, float]) -> None:
        """Take an evaluation into account.

        Raises:
            ConfigError: the environment does not report success.
        """
        if self._rule is None or self._at_least is None or self.reached is not None:
            return
        if "success_rate" not in values:
            raise ConfigError(
                "--evaluation.stop-at-success needs an environment that puts `success` into its info; the evaluations "
                f"of this one have {', '.join(values)}. Train without it: --resume --evaluation.stop-at-success None"
            )
        if self._rule.on_evaluation(Evaluation(env_steps, values)):
            return
        rates = {name: values[name] for name in ("success_rate", "success_low", "success_high")}
        minutes = (time.monotonic() - self._began_s) / 60.0
        self.reached = Learned(self._at_least, env_steps, minutes, int(values["episodes"]), **rates)
        self.reached.save(self._directory)
