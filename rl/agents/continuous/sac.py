"""Soft actor-critic: SAC, REDQ and larger ensembles by configuration. Original: agents/continuous/sac.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self, TypeAlias, cast

import numpy as np
import torch
from torch import Generator, Tensor, nn

from rl.agents.continuous.proposal import Proposal, ProposedPolicy, make_policy, make_proposal
from rl.agents.continuous.sac_config import SacConfig
from rl.agents.continuous.sac_losses import Masks, SacNoise, actor_loss, critic_loss, temperature_loss
from rl.agents.continuous.sac_modules import draw_members, make_state_modules
from rl.agents.continuous.sac_policy import SacPolicy
from rl.agents.continuous.stored_heads import with_own_heads
from rl.common.common import TrainState
from rl.common.typing import Arrays, Batch, Metrics, NetworkNames, Observations
from rl.errors import DataError
from rl.networks.standardise import Standardise
from rl.utils.distributed import ProcessGroup
from rl.utils.performance import autocast
from rl.utils.torch_utils import compile_or_warn, keep_freed_memory
from rl.utils.tree import map_leaves

__all__ = ["SACAgent", "SacConfig", "SacNoise", "SacPolicy", "make_policy"]

LossFunction: TypeAlias = Callable[[nn.ModuleDict, nn.ModuleDict, Batch, Any, SacConfig], tuple[Tensor, Metrics]]
"""`(modules, targets, batch, noise, config) -> (loss, metrics)`; pure."""

DEFAULTS = SacConfig()
Gradients: TypeAlias = dict[str, list[Tensor]]
"""Gradients of each loss for the parameters that its optimizer covers."""


def batch_rows(batch: Mapping[str, Any], start: int, stop: int) -> Batch:
    """Return these rows of every field of a batch."""
    return map_leaves(lambda field: field[start:stop], batch)


def mean_metrics(steps: Sequence[Metrics]) -> Metrics:
    """The means over several steps of the same networks."""
    return {key: torch.stack([step[key] for step in steps]).mean() for key in steps[0]}


class SACAgent:
    """Networks, targets and optimizers with their updates.

    Args:
        modules: `actor`, `critic` and `temperature`, with parameters, on `device`; and `proposal` where there is one,
            which is no part of the train state.
        config: settings.
        action_dim: length A of what the policy chooses.
        seed: of the noise in updates and of exploration; the two are separate streams.
        device: where the networks live.
        parameters: what each optimizer covers, where this is not the network of its name.
    """

    losses: ClassVar[Mapping[str, LossFunction]] = {
        "actor": actor_loss,
        "critic": critic_loss,
        "temperature": temperature_loss,
    }
    critics: ClassVar[frozenset[str]] = frozenset({"critic"})
    """Networks that learn from every slice of `update_high_utd`, and train what encodes the observations."""

    def __init__(
        self,
        modules: nn.ModuleDict,
        config: SacConfig,
        *,
        action_dim: int,
        seed: int,
        device: torch.device,
        parameters: Mapping[str, Sequence[Tensor]] | None = None,
    ) -> None:
        keep_freed_memory()
        self.config = config
        self.proposal = cast(Proposal, modules["proposal"]) if "proposal" in modules else None
        self.action_dim = action_dim
        self.device = device
        self.state = TrainState(
            nn.ModuleDict({name: module for name, module in modules.items() if name != "proposal"}),
            config.optimizers(),
            selective_optimizer_steps=config.selective_optimizer_steps,
            parameters=parameters,
            scales_losses=config.precision == "float16",
        )
        self.generator = Generator(device).manual_seed(seed)
        self._is_actor_trained = not config.actor_starts_after
        self.policy = self._make_policy(Generator().manual_seed(seed + 1))

    def _make_policy(self, generator: Generator) -> SacPolicy:
        module = self.state.modules["actor"]
        averaged = self.state.targets["actor"] if self.config.average_policy else None
        if self.proposal is None or not self.config.proposal.acts:
            return SacPolicy(module, generator, averaged)
        critic = self.state.targets["critic"]
        return ProposedPolicy(module, generator, averaged, proposal=self.proposal, critic=critic, config=self.config)

    @classmethod
    def create_states(
        cls,
        observation_dim: int,
        action_dim: int,
        config: SacConfig = DEFAULTS,
        *,
        seed: int = 0,
        device: str | torch.device = "cpu",
    ) -> Self:
        """An agent for observations (D,) and actions (A,) in [-1, 1].

        The initial parameters depend on the seed alone, not on the device.
        """
        modules = cls._state_modules(
            torch.zeros(1, observation_dim), action_dim, config, Generator().manual_seed(seed)
        ).to(device)
        return cls(modules, config, action_dim=action_dim, seed=seed, device=torch.device(device))

    @classmethod
    def _state_modules(
        cls, observation: Tensor, action_dim: int, config: SacConfig, generator: Generator
    ) -> nn.ModuleDict:
        modules = make_state_modules(observation, action_dim, config, generator, critic_action_dim=action_dim)
        if config.proposal.is_on:
            modules["proposal"] = make_proposal(observation, action_dim, config.proposal)
        return modules

    def fit_inputs(self, observations: np.ndarray) -> None:
        """Take the statistics of observations (N, D) for `standardises_inputs`; without it nothing changes."""
        vectors = torch.from_numpy(np.asarray(observations, np.float32)).to(self.device)
        for part in (*self.state.modules.modules(), *self.state.targets.modules()):
            if isinstance(part, Standardise):
                part.fit(vectors)

    def draw_noise(self, batch_size: int, utd_ratio: int | None = None) -> SacNoise:
        """Draw the noise of one `update`, or of one `update_high_utd` with that ratio."""
        minibatches = () if utd_ratio is None else (utd_ratio,)
        critic_rows = (*minibatches, batch_size // (utd_ratio or 1))
        return SacNoise(
            actor_eps=self._normal(batch_size, self.action_dim),
            critic_eps=self._normal(*critic_rows, self.action_dim),
            critic_idx=draw_members(self.config, self.generator, *minibatches),
            temperature_eps=self._normal(batch_size, self.action_dim),
            actor_keep=self._draw_masks(batch_size),
            critic_keep=self._draw_masks(*critic_rows),
            temperature_keep=self._draw_masks(batch_size),
        )

    def _draw_masks(self, *rows: int) -> Masks:
        """Dropout masks (*rows, width) of one pass of the policy."""
        return ()

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator, device=self.device)

    def update(
        self, batch: Batch, networks_to_update: NetworkNames | None = None, noise: SacNoise | None = None
    ) -> Metrics:
        """One step of the chosen networks, with all losses at the old parameters; targets follow a step of the critic.

        Args:
            batch: float32 tensors on the agent's device: `observations` (B, D), `actions` (B, A),
                `next_observations` (B, D), `rewards` (B,) and `masks` (B,).
            networks_to_update: names out of `losses`; `None` takes all.
            noise: every random number of the step; drawn when not given.

        Returns:
            Scalar tensors `<network>/<quantity>` and the learning rates just used, `<network>_lr`.
        """
        chosen = frozenset(self.losses if networks_to_update is None else networks_to_update)
        if unknown := chosen - self.losses.keys():
            raise DataError(f"no network is named {sorted(unknown)}. Known: {sorted(self.losses)}")
        names = tuple(name for name in self.losses if name in chosen)
        size, rows = len(batch["rewards"]), self.config.microbatch_size
        noise = noise or self.draw_noise(size)
        if self.proposal is not None and "critic" in names:
            batch = self._with_proposals(batch, self.proposal)
        if rows is None or size <= rows:
            return self._step(batch, noise, names)
        grads, metrics = self._accumulated(batch, noise, names, rows)
        return metrics | self._apply(grads)

    @torch.no_grad()
    def _with_proposals(self, batch: Batch, proposal: Proposal) -> Batch:
        """The batch of a step of the critics, which is counted, with what is proposed at the next observations."""
        proposal.critic_steps += 1
        if not self.config.proposal.bootstraps:
            return batch
        return {**batch, "next_proposed_actions": proposal(batch["next_observations"])}

    def _step(self, batch: Batch, noise: SacNoise, names: tuple[str, ...]) -> Metrics:
        grads, metrics = self._gradients(batch, noise, names)
        return metrics | self._apply(grads)

    def _gradients(self, batch: Batch, noise: SacNoise, names: tuple[str, ...]) -> tuple[Gradients, Metrics]:
        grads: Gradients = {}
        metrics: Metrics = {}
        for index, name in enumerate(names):
            with self._autocast():
                loss, found = self.losses[name](self.state.modules, self.state.targets, batch, noise, self.config)
            # Critics may share the encoding of the batch: each but the last leaves its graph to the next.
            shared = name in self.critics and not self.critics.isdisjoint(names[index + 1 :])
            grads[name] = self.state.gradients(name, loss, retain_graph=shared)
            metrics |= {f"{name}/{key}": value for key, value in found.items()}
        return grads, metrics

    def _autocast(self) -> torch.autocast:
        return autocast(self.device, self.config.precision)

    def _apply(self, grads: Gradients) -> Metrics:
        rates = self.state.learning_rates()
        self.state.apply_gradients(grads)
        if "critic" in grads:
            self.state.target_update(self.config.soft_target_update_rate)
        return {f"{name}_lr": rate for name, rate in rates.items()}

    def _accumulated(
        self, batch: Batch, noise: SacNoise, names: tuple[str, ...], rows: int
    ) -> tuple[Gradients, Metrics]:
        """Gradients and metrics of a whole batch from passes over `rows` rows each: every loss is a mean over rows."""
        size = len(batch["rewards"])
        grads: Gradients = {}
        metrics: Metrics = {}
        for start in range(0, size, rows):
            stop = min(start + rows, size)
            found, measured = self._gradients(batch_rows(batch, start, stop), noise.rows(start, stop), names)
            share = (stop - start) / size
            for name in names:
                scaled = list(torch._foreach_mul(found[name], share))
                grads[name] = list(torch._foreach_add(grads[name], scaled)) if start else scaled
            metrics = {key: metrics.get(key, 0) + share * value for key, value in measured.items()}
        return grads, metrics

    def update_high_utd(self, batch: Batch, utd_ratio: int, noise: SacNoise | None = None) -> Metrics:
        """A critic step on each of `utd_ratio` contiguous slices, then actor and temperature on the whole batch.

        With `joint_last_step`, actor and temperature step together with the critics on the last slice. They do not step
        at all before `actor_starts_after`.

        Returns:
            As `update`; the critic's metrics are means over the slices.

        Raises:
            DataError: the batch does not divide by `utd_ratio`.
        """
        size = len(batch["rewards"])
        if utd_ratio < 1 or size % utd_ratio:
            raise DataError(f"a batch of {size} does not divide into {utd_ratio} minibatches of equal size")
        noise = noise or self.draw_noise(size, utd_ratio)
        if not self._trains_actor():
            return mean_metrics(self._critic_steps(batch, utd_ratio, noise, range(utd_ratio)))
        return self._high_utd(batch, utd_ratio, noise)

    def _trains_actor(self) -> bool:
        """Whether the critics have made the steps that policy and temperature wait for."""
        if not self._is_actor_trained:  # asked of the device until then, and never again
            steps = self.state.optimizers["critic"].count
            self._is_actor_trained = bool(steps >= self.config.actor_starts_after)
        return self._is_actor_trained

    def _high_utd(self, batch: Batch, utd_ratio: int, noise: SacNoise) -> Metrics:
        if self.config.joint_last_step:
            return self._with_joint_step(batch, utd_ratio, noise)
        critic = mean_metrics(self._critic_steps(batch, utd_ratio, noise, range(utd_ratio)))
        return critic | self.update(batch, self.losses.keys() - self.critics, noise)

    def _with_joint_step(self, batch: Batch, utd_ratio: int, noise: SacNoise) -> Metrics:
        size, last = len(batch["rewards"]), utd_ratio - 1
        start = last * (size // utd_ratio)
        steps = self._critic_steps(batch, utd_ratio, noise, range(last))
        joint = self.update(batch_rows(batch, start, size), None, noise.joint(last, start, size))
        own = {key: joint[key] for key in steps[0]} if steps else {}
        return joint | (mean_metrics([*steps, own]) if steps else {})

    def _critic_steps(self, batch: Batch, utd_ratio: int, noise: SacNoise, slices: Iterable[int]) -> list[Metrics]:
        rows = len(batch["rewards"]) // utd_ratio
        return [
            self.update(batch_rows(batch, i * rows, (i + 1) * rows), self.critics, noise.minibatch(i)) for i in slices
        ]

    def sample_actions(self, observations: Observations, *, argmax: bool = False) -> np.ndarray:
        """Actions (A,) or (N, A) for one observation or a batch of N; see `SacPolicy.sample_actions`."""
        return self.policy.sample_actions(observations, argmax=argmax)

    def policy_state_dict(self) -> dict[str, np.ndarray]:
        """The policy's parameters as arrays: what is published to actors."""
        return self.policy.policy_state_dict()

    def load_policy_state_dict(self, state: Arrays) -> None:
        """Take the policy's parameters over from `policy_state_dict`."""
        self.policy.load_policy_state_dict(state)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that an exact continuation needs, as tensors: loadable with `weights_only=True`."""
        return {
            **self.state.state_dict(),
            "update_generator": self.generator.get_state(),
            "policy_generator": self.policy.generator.get_state(),
            **({} if self.proposal is None else {"proposal": self.proposal.state_dict()}),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state_dict`, on the same kind of device bit for bit."""
        self.state.load_state_dict(with_own_heads(state, self.state.state_dict()))
        self._is_actor_trained = not self.config.actor_starts_after
        self.generator.set_state(state["update_generator"].cpu())
        self.policy.generator.set_state(state["policy_generator"].cpu())
        if self.proposal is not None:
            self.proposal.load_state_dict(state["proposal"])

    def join(self, group: ProcessGroup) -> None:
        """Average gradients over a process group from now on; its main process broadcasts its state and its noise."""
        self.state.join(group)
        noise = self.generator.get_state().to(self.device)
        proposal = [] if self.proposal is None else list(self.proposal.state_dict().values())
        group.broadcast([*proposal, noise])
        self.generator.set_state(noise.cpu())

    def compile(self, **kwargs: Any) -> None:
        """Compile the updates with `torch.compile(**kwargs)`; without a C++ compiler stay eager, with one warning."""
        self._step = compile_or_warn(self._step, **kwargs)  # type: ignore[method-assign]
        self._gradients = compile_or_warn(self._gradients, **kwargs)  # type: ignore[method-assign]
        self._apply = compile_or_warn(self._apply, **kwargs)  # type: ignore[method-assign]
