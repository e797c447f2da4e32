"""`with_own_heads`: reads states of agents whose critics shared their last layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def with_own_heads(state: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """A stored state for an agent whose critics have a head each, where one head stood over all of them.

    So it was before 0.2 with `standardises_inputs`. Each critic gets a copy, which computes the same; the gradient of a
    head is the share of one member in that of the common head, so its moments are scaled.
    """

    def copies(value: Any, like: Any, share: float = 1.0) -> Any:
        is_common = isinstance(value, Tensor) and value.shape == like.shape[1:] and value.dim() == like.dim() - 1
        return (value * share).expand_as(like).clone() if is_common else value

    found = dict(state)
    for group in ("modules", "targets"):
        found[group] = {
            name: copies(value, own[group][name]) if name.startswith("critic.head.") else value
            for name, value in state[group].items()
        }
    critic, mine = state["optimizers"]["critic"], own["optimizers"]["critic"]
    moments = {
        name: [
            copies(value, like, 1 / len(like) ** power) if like.dim() else value
            for value, like in zip(critic[name], mine[name], strict=True)
        ]
        for name, power in (("mu", 1), ("nu", 2))
    }
    found["optimizers"] = {**state["optimizers"], "critic": {**critic, **moments}}
    return found
