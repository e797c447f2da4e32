"""The check of the losses."""

from __future__ import annotations

import math

from rl.training.doctor.evidence import Evidence, Line
from rl.training.doctor.verdicts import NotApplicable, Symptom
from rl.utils.option_words import option

_LINES = 20
_SKIPPED_IN_A_ROW = 3  # float16 skips a step that overflows and halves its scale; more in a row are no overflow


def find_not_finite(evidence: Evidence) -> Symptom | None:
    """Look for NaN and infinity among the metrics of the newest updates."""
    if not evidence.updates:
        raise NotApplicable("the metrics have no line of an update")
    newest = evidence.updates[-_LINES:]
    if evidence.config.agent.precision == "float16":
        newest = newest[-_SKIPPED_IN_A_ROW:]
        if len(newest) < _SKIPPED_IN_A_ROW or not all(map(_not_finite, newest)):
            return None
    bad = [line for line in newest if _not_finite(line)]
    if not bad:
        return None
    names = _not_finite(bad[0])
    return Symptom(
        {"lines": float(len(bad)), "updates": bad[0].get("updates", math.nan)},
        f"{', '.join(names)} {'was' if len(names) == 1 else 'were'} not finite in {len(bad)} of the newest "
        f"{len(newest)} lines of the metrics",
        f"Go on from the newest checkpoint with smaller {option('agent.critic_optimizer.learning_rate')} and "
        f"{option('agent.actor_optimizer.learning_rate')}, with "
        f"{option('agent.critic_optimizer.clip_grad_norm', 1)}, or with rewards of a "
        "smaller size",
    )


def _not_finite(line: Line) -> list[str]:
    return [name for name, value in line.items() if "/" in name and not math.isfinite(value)]
