"""The table of the checks, and the diagnosis that they come to together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rl.training.doctor import demonstrations, human, losses, observations, pace, policy, rewards, values
from rl.training.doctor.evidence import Evidence
from rl.training.doctor.verdicts import Diagnosis, Finding, NotApplicable, Severity, Symptom

CRITICAL, SERIOUS, NOTICE = Severity


@dataclass(frozen=True)
class Check:
    """A question to a run."""

    judge: Callable[[Evidence], Symptom | None]
    """Returns what it found; raises `NotApplicable`."""
    severity: Severity


CHECKS: Mapping[str, Check] = {
    "not_finite": Check(losses.find_not_finite, CRITICAL),
    "reward_dead": Check(rewards.find_dead, CRITICAL),
    "observations_frozen": Check(observations.find_frozen, CRITICAL),
    "q_overestimated": Check(values.find_overestimated, CRITICAL),
    "reward_false": Check(rewards.find_false, CRITICAL),
    "demos_contradict": Check(demonstrations.find_contradictions, SERIOUS),
    "no_success": Check(rewards.find_no_success, SERIOUS),
    "actions_saturated": Check(policy.find_saturated, SERIOUS),
    "entropy_collapsed": Check(policy.find_collapsed, SERIOUS),
    "observations_blown_up": Check(observations.find_blown_up, SERIOUS),
    "updates_missing": Check(pace.find_missing_updates, SERIOUS),
    "weights_stale": Check(pace.find_stale_weights, SERIOUS),
    "steps_late": Check(pace.find_late_steps, SERIOUS),
    "interventions_stay": Check(human.find_lasting_interventions, SERIOUS),
    "learner_starved": Check(pace.find_starved_learner, NOTICE),
    "actor_starved": Check(pace.find_starved_actor, NOTICE),
}
"""The checks by the name of what they find, the worst of a severity first."""


def examine(evidence: Evidence) -> Diagnosis:
    """Make every check."""
    findings: list[Finding] = []
    passed: list[str] = []
    not_applicable: dict[str, str] = {}
    for name, check in CHECKS.items():
        try:
            symptom = check.judge(evidence)
        except NotApplicable as reason:
            not_applicable[name] = str(reason)
            continue
        if symptom is None:
            passed.append(name)
        else:
            findings.append(Finding(name, check.severity, symptom))
    worst_first = sorted(findings, key=lambda finding: list(Severity).index(finding.severity))
    return Diagnosis(tuple(worst_first), tuple(passed), not_applicable)
