"""HG-DAgger: a clone acts, a person takes over, and the clone is trained again on what the person did.

Kelly et al. 2019 (arXiv:1810.02890), without its ensemble that estimates doubt: the person decides when to act.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from rich.console import Console

from rl.agents.continuous.bc import BCAgent
from rl.agents.continuous.sac_policy import SacPolicy
from rl.common.evaluation import evaluate as evaluate_policy
from rl.common.evaluation import require_unassisted
from rl.common.typing import Batch
from rl.errors import CheckpointNotFound, ConfigError
from rl.offline.bc import conclude_bc, evaluate, make_bc_agent, make_epoch_context
from rl.offline.bc_options import SETTINGS as BC
from rl.offline.demos import digest_of, joined, read_demos, split_episodes
from rl.offline.epochs import EpochsConfig, require_same_networks, run_epochs
from rl.offline.rows import Rows
from rl.training.actor import EVALUATION_SEED, ActingPlan, EvaluationPlan, run_actor
from rl.training.corrections import Corrections
from rl.training.doctor.read_run import read_lines
from rl.training.episode_link import EndOfEpisode, EpisodeLink
from rl.training.hg_dagger_options import SETTINGS, HgDaggerOptions
from rl.training.recovery import Recovery
from rl.utils.checkpoint import Checkpoints
from rl.utils.distributed import SINGLE_PROCESS, local_device
from rl.utils.logger import make_logger
from rl.utils.performance import tune_backends
from rl.utils.run_directory import CHECKPOINTS, JOURNAL, ROUNDS, claim_run, hold_run, holds_run
from rl.utils.seeds import Seeds
from rl.utils.subprocesses import Stop
from rl.wrappers.make_env import make_env


def run_hg_dagger(options: HgDaggerOptions, stop: Stop, console: Console) -> int:
    """Run to the last round, or until the user ends it.

    Returns:
        Rounds that are done, each with its training.

    Raises:
        ConfigError: the environment, the person or the options do not go together.
        DataError: the demonstrations do not fit the environment, or are too few to hold some out.
        RunExists, CheckpointNotFound: the directory holds a run, or none to resume.
        CheckpointError: the run to resume has other networks.
        EnvironmentFailed: the environment cannot go on, whatever anybody does.
    """
    torch.set_num_threads(options.threads)
    device = local_device(options.device)
    tune_backends(device)
    with closing(make_env(options.env, options.cell, options.adaptation(), human=options.human)) as env:
        if options.evaluation_episodes and options.human is not None:
            require_unassisted(env, options.human)
        spaces, held_seed = (env.observation_space, env.action_space), Seeds(options.seed).generator("held out")
        demos, held_out = split_episodes(read_demos(options.demos, *spaces), options.held_out, held_seed)
        clones = Clones(options, env, device)
        clone = clones.make(demos)  # what cannot be made leaves no directory behind
        if options.resume and holds_run(options.out):
            options.require_continues(_stored(options.out))
            require_same_networks(clone, options.out)
        digest = digest_of(demos)
        facts = {"env": options.env, "preset": "hg-dagger", "demos": digest}
        _require_same_demos(claim_run(options.out, resume=options.resume, facts=facts), digest)
        with hold_run(options.out, stop=stop), Corrections(options.out / JOURNAL, *spaces) as corrections:
            BC.write(options.out, options.as_bc(len(demos["actions"])))
            SETTINGS.write(options.out, options)
            return HgDagger(options, env, clones, (demos, held_out), corrections, stop, console).run()


def _stored(directory: Path) -> HgDaggerOptions:
    if not SETTINGS.is_in(directory):
        raise ConfigError(f"{directory} is no run of hg-dagger, and cannot be continued as one: choose another --out")
    return SETTINGS.read(directory)


def _require_same_demos(facts: Mapping[str, Any], digest: str) -> None:
    if facts.get("demos", digest) != digest:
        raise ConfigError(
            "the files of --demos hold other steps than those that this run began with: give the files with the same "
            "steps, wherever they are now, or begin another run"
        )


class Clones:
    """Makes the policies that are trained, each from the beginning.

    Args:
        options: of the run.
        env: as the policy sees it.
        device: where they live.
    """

    def __init__(self, options: HgDaggerOptions, env: gym.Env, device: torch.device) -> None:
        self._options, self._device = options, device
        self._spaces = env.observation_space, env.action_space

    def make(self, data: Batch) -> BCAgent:
        """An agent that is to learn from this data."""
        agent = make_bc_agent(self._options.as_bc(len(data["actions"])), *self._spaces, self._device)
        agent.fit_inputs(data["observations"])
        return agent


class HgDagger:
    """A run: cloning, then rounds of some episodes and another training.

    Where it stands follows from the epochs of the newest checkpoint, from the episodes in the journal and from the
    rounds that are logged, so a run that was stopped goes on where it was.

    Args:
        options: of the run.
        env: with somebody who takes over.
        clones: makes the agents.
        demos: demonstrations to learn from, and those held out, if any.
        corrections: what was done so far.
        stop: ends the run.
        console: for what is printed.
    """

    def __init__(
        self,
        options: HgDaggerOptions,
        env: gym.Env,
        clones: Clones,
        demos: tuple[Batch, Batch | None],
        corrections: Corrections,
        stop: Stop,
        console: Console,
    ) -> None:
        self._options, self._env, self._clones, self._corrections = options, env, clones, corrections
        self._demos, self._held_out = demos
        self._stop, self._console = stop, console
        self._epochs, self._agent = 0, clones.make(self._demos)
        self._told = _newest_round(options.out / f"{ROUNDS}.jsonl")
        self._is_real_time = env.has_wrapper_attr("is_real_time") and env.get_wrapper_attr("is_real_time")

    def run(self) -> int:
        """Go on to the last round; returns the rounds that are done, each with its training."""
        options = self._options
        with suppress(CheckpointNotFound):
            self._epochs, state = Checkpoints(options.out / CHECKPOINTS).load(map_location=self._agent.device)
            self._agent.load_state_dict(state["agent"])
        while not self._stop.is_set():
            collected = self._corrections.episodes // options.episodes_per_round
            if self._epochs < options.epochs_after(collected):
                self._train(collected)
            elif self._told < collected:
                self._report(collected)
            elif collected < options.rounds:
                self._collect()
            else:
                break
        done = max(0, self._told)
        if self._epochs:
            conclude_bc(options.out, f"{done} rounds, {self._epochs} epochs", self._console)
        if done < options.rounds:
            self._say(
                f"stopped after {done} of {options.rounds} rounds; go on with: robotkit-train hg-dagger --out "
                f"{options.out} --resume"
            )
        return done

    def _collect(self) -> None:
        """Let the clone act for one episode, with its person at hand."""
        options, episode = self._options, self._corrections.episodes
        if episode % options.episodes_per_round == 0:
            number = episode // options.episodes_per_round + 1
            self._say(f"round {number} of {options.rounds}: {options.episodes_per_round} episodes; take over at errors")
        link = EpisodeLink(self._corrections, episode, waits_for_end=not self._is_real_time)
        seeds = Seeds(Seeds(options.seed).integer(f"episode {episode}"))
        plan, stop = ActingPlan(0, EvaluationPlan(0, 1, 0)), EndOfEpisode(self._stop, link)
        try:
            run_actor(self._env, ModePolicy(self._agent.policy), link, plan, seeds, stop)
        finally:
            link.flush()

    def _train(self, collected: int) -> None:
        """Train a new clone on the demonstrations and on the corrections of so many rounds, to its last epoch."""
        options, data = self._options, self._data(collected)
        self._agent, goal = self._clones.make(data), options.epochs_after(collected)
        config = EpochsConfig(goal, options.seed, options.checkpoint_every, begin=goal - options.epochs)
        context = make_epoch_context(options, Rows(data), self._agent, self._held_out, SINGLE_PROCESS, self._console)
        self._epochs = run_epochs(self._agent, config, context, self._stop)

    def _data(self, collected: int) -> Batch:
        """The demonstrations, and the corrections of so many rounds."""
        return joined([self._demos, *self._corrections.steps_before(collected * self._options.episodes_per_round)])

    def _report(self, number: int) -> None:
        """Log and print the figures of a round, which is trained now; not yet where its evaluation was stopped."""
        unaided = self._evaluate()
        if unaided is None:
            return
        per_round, data = self._options.episodes_per_round, self._data(number)
        corrections = len(data["actions"]) - len(self._demos["actions"])
        values = round_figures(self._corrections.figures_of(range((number - 1) * per_round, number * per_round)))
        errors = {name: float(value) for name, value in evaluate(self._agent, data).items()}
        values |= {"loss": errors["nll"], "mse": errors["mse"], "corrections": float(corrections)}
        values |= {"rows": float(len(data["actions"])), "epochs": float(self._epochs)}
        with make_logger(self._options.out, name=ROUNDS, tensorboard=False) as log:
            log.log(number, {"round": values, "evaluation": unaided})
        self._told = number
        self._say(f"round {number}: {_in_words(values, unaided)}")

    def _evaluate(self) -> Mapping[str, float] | None:
        """The clone's figures without help, from common starts; none where they are not asked for, None at a stop."""
        episodes, policy = self._options.evaluation_episodes, ModePolicy(self._agent.policy)
        if not episodes:
            return {}
        waiting = EpisodeLink(self._corrections, self._corrections.episodes, waits_for_end=False)
        return Recovery(waiting, self._stop).carry(
            lambda: evaluate_policy(policy.sample_actions, self._env, episodes, EVALUATION_SEED)
        )

    def _say(self, words: str) -> None:
        self._console.print(words, highlight=False, soft_wrap=True)


class ModePolicy:
    """Acts by the mode of a policy, as it is evaluated and exported.

    Args:
        policy: the clone's, which is trained where it is.
    """

    def __init__(self, policy: SacPolicy) -> None:
        self._policy = policy

    def sample_actions(self, observations: Any, *, argmax: bool = True) -> np.ndarray:
        """The mode for an observation."""
        return self._policy.sample_actions(observations, argmax=True)

    def load_policy_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Take nothing: the policy is the one that is trained."""


def _newest_round(log: Path) -> int:
    """The number of the newest round whose figures a run has logged; -1 without any."""
    return max((int(line["step"]) for line in read_lines(log)), default=-1)


def round_figures(episodes: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The figures of a round from those of its episodes.

    Returns:
        `episodes`; `intervened_share`, of all steps; and where the environment tells success, `success_rate` and
        `unaided_success_rate`, of the episodes that succeeded without a person's step. Without episodes nothing.
    """
    if not episodes:
        return {}
    steps = sum(one["length"] for one in episodes)
    figures = {
        "episodes": float(len(episodes)),
        "intervened_share": sum(one["intervened_steps"] for one in episodes) / steps,
    }
    told = [one for one in episodes if "success" in one]
    if told:
        unaided = [one["success"] * (not one["intervened_steps"]) for one in told]
        figures["success_rate"] = sum(one["success"] for one in told) / len(told)
        figures["unaided_success_rate"] = sum(unaided) / len(told)
    return figures


def _in_words(values: Mapping[str, float], unaided: Mapping[str, float]) -> str:
    parts = []
    if "success_rate" in values:
        parts.append(f"success {values['success_rate']:.0%}, {values['unaided_success_rate']:.0%} without help")
    if "intervened_share" in values:
        parts.append(f"a person acted in {values['intervened_share']:.0%} of the steps")
    parts.append(f"{values['corrections']:.0f} corrections so far, loss {values['loss']:.4g}")
    if "success_rate" in unaided:
        parts.append(f"then {unaided['success_rate']:.0%} of {unaided['episodes']:.0f} evaluated episodes")
    return "; ".join(parts)
