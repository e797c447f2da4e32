"""Laws of perceptrons, critics, policies, distributions and multipliers."""

from functools import partial

import numpy as np
import pytest
import torch

from rl.errors import ConfigError
from rl.networks.actor_critic_nets import Critic, Policy, call_frozen, call_members, ensemblize
from rl.networks.distributions import MultivariateNormalDiag, TanhMultivariateNormalDiag
from rl.networks.lagrange import GeqLagrangeMultiplier, LagrangeMultiplier, LeqLagrangeMultiplier
from rl.networks.mlp import MLP, Scalar
from rl.nn.flax_params import load_flax_params, to_flax_params
from rl.nn.initializers import kaiming_normal, lecun_normal, uniform, xavier_uniform
from rl.nn.layers import init_parameters, materialise

OBSERVATIONS = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
ACTIONS = torch.randn(6, 3, generator=torch.Generator().manual_seed(1))


def trunk():
    return MLP((8, 7), "tanh", activate_final=True, use_layer_norm=True)


def stacked(size=4):
    make = ensemblize(partial(Critic, None, trunk()), size)
    return materialise(make(), OBSERVATIONS, ACTIONS, generator=torch.Generator().manual_seed(2))


def test_a_stacked_critic_is_its_members():
    ensemble = stacked()
    values = ensemble(OBSERVATIONS, ACTIONS)
    params = to_flax_params(ensemble)
    for member in range(4):
        alone = materialise(Critic(None, trunk()), OBSERVATIONS, ACTIONS)
        load_flax_params(alone, {path: value[member] for path, value in params.items()})
        torch.testing.assert_close(alone(OBSERVATIONS, ACTIONS), values[member])
    assert len(values.unique()) == values.numel()


def test_chosen_members_are_rows_of_all():
    ensemble = stacked()
    members = torch.tensor([3, 0, 3])
    found = call_members(ensemble, members, OBSERVATIONS, ACTIONS)
    torch.testing.assert_close(found, ensemble(OBSERVATIONS, ACTIONS)[members])


def test_candidate_actions_are_evaluated_one_by_one():
    ensemble = stacked()
    candidates = torch.stack((ACTIONS, -ACTIONS), 1)
    found = ensemble(OBSERVATIONS, candidates)
    assert found.shape == (4, 6, 2)
    torch.testing.assert_close(found[..., 1], ensemble(OBSERVATIONS, -ACTIONS))


def test_a_frozen_call_has_the_value_and_only_the_inputs_gradient():
    ensemble = stacked()
    actions = ACTIONS.clone().requires_grad_()
    value = call_frozen(ensemble, OBSERVATIONS, actions)
    torch.testing.assert_close(value, ensemble(OBSERVATIONS, ACTIONS))
    value.sum().backward()
    assert actions.grad is not None
    assert all(parameter.grad is None for parameter in ensemble.parameters())


def test_an_encoder_cannot_be_stacked_with_its_critic():
    with pytest.raises(ConfigError, match="ensemble its network alone"):
        Critic(trunk(), trunk()).as_ensemble(2)


def test_layers_cannot_be_stacked_once_they_have_parameters():
    with pytest.raises(RuntimeError, match="already has parameters"):
        materialise(trunk(), OBSERVATIONS).as_ensemble(2)


def test_dropout_acts_in_training_alone():
    network = materialise(MLP((64, 64), "relu", dropout_rate=0.5), OBSERVATIONS)
    torch.testing.assert_close(network(OBSERVATIONS), network(OBSERVATIONS))
    assert not torch.equal(network(OBSERVATIONS, train=True), network(OBSERVATIONS))


def test_initial_values_depend_on_the_generator_alone():
    one, other = stacked(), stacked()
    torch.testing.assert_close(list(one.parameters()), list(other.parameters()), rtol=0, atol=0)
    init_parameters(other, torch.Generator().manual_seed(3))
    assert not torch.equal(one.head.weight, other.head.weight)


@pytest.mark.parametrize(
    ("init", "std"),
    [
        (xavier_uniform, (2 / 600) ** 0.5),
        (lecun_normal, (1 / 400) ** 0.5),
        (kaiming_normal, (2 / 400) ** 0.5),
        (uniform(0.3), 0.3 / 3**0.5),
    ],
)
def test_initialisers_have_their_variance_and_are_centred(init, std):
    weight = torch.empty(200, 400)
    init(weight, torch.Generator().manual_seed(0))
    assert abs(weight.std().item() / std - 1) < 0.01
    assert abs(weight.mean().item()) < 0.02 * std
    assert weight.abs().max() < 2.3 * std


def test_log_density_of_a_squashed_sample_agrees_with_the_density_at_it():
    loc, scale, eps = torch.zeros(4, 3), torch.full((4, 3), 0.7), torch.randn(4, 3)
    bounds = {"low": torch.tensor([-2.0, 0.0, 1.0]), "high": torch.tensor([2.0, 1.0, 4.0])}
    for distribution in (TanhMultivariateNormalDiag(loc, scale), TanhMultivariateNormalDiag(loc, scale, **bounds)):
        action, log_prob = distribution.sample_and_log_prob(eps)
        torch.testing.assert_close(distribution.log_prob(action), log_prob, rtol=1e-4, atol=1e-4)


def test_the_squashed_density_integrates_to_one():
    grid = torch.linspace(-0.9999, 0.9999, 20001).unsqueeze(-1)
    distribution = TanhMultivariateNormalDiag(torch.tensor([0.3]), torch.tensor([0.5]))
    assert abs(torch.trapezoid(distribution.log_prob(grid).exp(), grid[:, 0]).item() - 1) < 1e-3


def test_the_gaussian_is_torchs():
    loc, scale = torch.randn(4, 3), torch.rand(4, 3) + 0.1
    theirs = torch.distributions.Independent(torch.distributions.Normal(loc, scale), 1)
    ours = MultivariateNormalDiag(loc, scale)
    torch.testing.assert_close(ours.log_prob(loc + 0.2), theirs.log_prob(loc + 0.2))
    torch.testing.assert_close(ours.entropy(), theirs.entropy())


def test_half_a_pair_of_bounds_is_refused():
    with pytest.raises(ConfigError, match="low and high"):
        TanhMultivariateNormalDiag(torch.zeros(1), torch.ones(1), low=torch.zeros(1))


def test_temperature_scales_the_variance_of_a_policy():
    policy = materialise(Policy(None, trunk(), 3), OBSERVATIONS)
    cold, warm = policy(OBSERVATIONS, temperature=0.25), policy(OBSERVATIONS)
    torch.testing.assert_close(cold.scale_diag * 2, warm.scale_diag)


@pytest.mark.parametrize("arguments", [{"std_parameterization": "log"}, {"fixed_std": np.ones(3)}])
def test_impossible_policies_are_refused(arguments):
    with pytest.raises(ConfigError, match="std_parameterization"):
        Policy(None, trunk(), 3, **arguments)


def test_unknown_names_are_refused():
    with pytest.raises(ConfigError, match="Known: elu"):
        MLP((4,), "tanhh")
    with pytest.raises(ConfigError, match="constraint_type"):
        LagrangeMultiplier(constraint_type="gt")


@pytest.mark.parametrize("kind", [GeqLagrangeMultiplier, LeqLagrangeMultiplier])
@pytest.mark.parametrize("value", [1e-3, 1.0, 20.0])
def test_multipliers_start_where_they_are_told_and_stay_positive(kind, value):
    multiplier = kind(value)
    torch.testing.assert_close(multiplier(), torch.tensor(value), rtol=1e-5, atol=0.0)
    with torch.no_grad():
        multiplier.lagrange.fill_(-50.0)
    assert multiplier() > 0


def test_minimising_the_penalty_raises_the_multiplier_of_a_violated_constraint():
    for kind, lhs in ((GeqLagrangeMultiplier, -1.0), (LeqLagrangeMultiplier, 1.0)):
        multiplier = kind(1.0)
        multiplier(lhs=torch.tensor(lhs)).backward()
        assert multiplier.lagrange.grad < 0


def test_a_scalar_is_a_number():
    assert Scalar(0.5)().item() == 0.5
