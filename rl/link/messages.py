"""The messages of the link: small JSON documents; transitions and weights travel beside them as binary frames."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self, TypeVar

import gymnasium as gym
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError, model_validator

from rl.data.schema import EXECUTED_ACTIONS
from rl.data.spaces import describe_space
from rl.errors import ConfigError, LinkProtocolError
from rl.utils.option_words import option

PROTOCOL = 2
"""Raised when an old peer could misread a new one."""

NOTHING_STORED = -1
"""`last_sequence` of an attempt of which nothing is stored; its first transition has number 0."""

NUMBERS_MAX = 2**26
"""Largest size of one array of an observation or an action: twenty images of 1024 by 1024 pixels. No handshake fills
the memory."""

_M = TypeVar("_M")

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]


class LinkMessage(BaseModel):
    """Base of all JSON messages."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Bound = float | Literal["inf", "-inf"] | tuple[float | Literal["inf", "-inf"], ...]
"""One number for a whole array, or one for each element; JSON has no infinity, so that is a word."""


class BoxSpec(LinkMessage):
    """An array space."""

    kind: Literal["Box"] = "Box"
    shape: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(max_length=8)]
    dtype: str
    low: Bound
    high: Bound

    @model_validator(mode="after")
    def _fits_into_memory(self) -> Self:
        numbers = math.prod(self.shape)
        if numbers > NUMBERS_MAX:
            raise ValueError(f"a space of shape {self.shape} has {numbers} numbers; at most {NUMBERS_MAX} are allowed")
        return self


class DictSpec(LinkMessage):
    """A dict space."""

    kind: Literal["Dict"] = "Dict"
    spaces: Annotated[dict[str, SpaceSpec], Field(max_length=64)]


SpaceSpec = Annotated[BoxSpec | DictSpec, Field(discriminator="kind")]

_spaces: TypeAdapter[BoxSpec | DictSpec] = TypeAdapter(SpaceSpec)


def spec_of(space: gym.Space[Any]) -> BoxSpec | DictSpec:
    """The description of a Box or a (nested) Dict of Boxes.

    Raises:
        ConfigError: a space of another kind.
    """
    try:
        return _spaces.validate_python(describe_space(space))
    except ValidationError as error:
        raise ConfigError(f"an actor cannot send a {type(space).__name__} space; use Box or Dict") from error


def build_space(spec: BoxSpec | DictSpec) -> gym.Space[Any]:
    """The space that was described."""
    if isinstance(spec, DictSpec):
        return gym.spaces.Dict({name: build_space(inner) for name, inner in spec.spaces.items()})
    low, high = (_array(bound, spec) for bound in (spec.low, spec.high))
    return gym.spaces.Box(low, high, spec.shape, low.dtype.type)


def _array(bound: Bound, spec: BoxSpec) -> np.ndarray:
    numbers = np.array(bound, dtype=np.float64)
    return (np.full(spec.shape, numbers) if numbers.ndim == 0 else numbers.reshape(spec.shape)).astype(spec.dtype)


class BaseSpec(LinkMessage):
    """The frozen policy that acts in the environment, and the bounds of the agent's correction."""

    policy: Annotated[str, Field(max_length=128)]
    """Checksum of the policy."""
    scale: Annotated[tuple[float, ...], Field(max_length=1024)]


class AgentSpec(LinkMessage):
    """The facts on which actor and learner must agree before the first transition."""

    env: str
    observation: SpaceSpec
    action: SpaceSpec
    extras: tuple[str, ...] = ()
    """Numbers that each transition carries besides."""
    base: BaseSpec | None = None
    """The base policy that acts there, where the agent learns a residual."""

    @classmethod
    def of(cls, env_id: str, env: gym.Env, extras: tuple[str, ...] = ()) -> Self:
        """Describe a built environment."""
        spaces = spec_of(env.observation_space), spec_of(env.action_space)
        plain = cls(env=env_id, observation=spaces[0], action=spaces[1], extras=extras)
        if not env.has_wrapper_attr("base_facts"):
            return plain
        base = BaseSpec(**env.get_wrapper_attr("base_facts"))
        return plain.model_copy(update={"base": base, "extras": (*extras, EXECUTED_ACTIONS)})


def base_difference(found: BaseSpec | None, wanted: BaseSpec | None) -> str:
    """The sentence for a base policy, found here, that is not the one of a run."""
    way = f"give {option('base')} and {option('residual.scale')} as the run has them in its config.json"
    if found is None or wanted is None:
        there, here = ("none" if base is None else "one" for base in (wanted, found))
        return f"a run keeps its base policy: the run has {there}, and here is {here}. {way[0].upper()}{way[1:]}"
    if found.policy != wanted.policy:
        return (
            f"the base policy was changed: the run corrects the one with the checksum {wanted.policy[:16]}…, and here "
            f"is {found.policy[:16]}…. A correction fits the policy that it was learned on alone: {way}, and put that "
            "policy back"
        )
    return f"the run has {option('residual.scale')} {wanted.scale}, and here it is {found.scale}: {way}"


class Handshake(LinkMessage):
    """First message of an actor on every connection."""

    kind: Literal["handshake"] = "handshake"
    protocol: int = PROTOCOL
    actor: Name
    """Name of the actor, the same after a restart."""
    attempt: Name
    """New for every start of the actor's process, so that a restarted actor begins at 0 again."""
    role: Literal["actor", "evaluator"] = "actor"
    """An evaluator sends no transitions: it needs no permission to step, and its silence is no reason to pause."""
    spec: AgentSpec


class Heartbeat(LinkMessage):
    """State of the actor, sent periodically."""

    kind: Literal["heartbeat"] = "heartbeat"
    weights_version: int
    backlog: int
    """Transitions that are not acknowledged yet."""
    dropped: int
    """Transitions that the actor had to throw away since its start."""
    waiting_for: str | None = None
    """Reason that keeps the actor from going on, such as a fault of its robot; left out when nothing does."""


class Report(LinkMessage):
    """Figures for the log: an episode's return, an evaluation."""

    kind: Literal["report"] = "report"
    topic: Literal["episode", "evaluation"]
    weights_version: int
    values: dict[str, float]

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.topic == "episode" and "return" not in self.values:
            raise ValueError(f"the report of an episode tells its `return`, got {', '.join(self.values) or 'nothing'}")
        return self


class HandshakeReply(LinkMessage):
    """The learner's answer to `Handshake`."""

    kind: Literal["handshake_reply"] = "handshake_reply"
    last_sequence: int
    """Newest stored transition of this attempt, or `NOTHING_STORED`: resend from the one after it."""
    env_steps: int
    """Transitions of all actors so far: a late actor need not act at random again."""


class Ack(LinkMessage):
    """Acknowledged transitions and permitted steps; a newer one replaces an older one."""

    kind: Literal["ack"] = "ack"
    last_sequence: int
    """Sequence number up to which everything is on disk."""
    sequence_limit: int
    """The actor may take steps up to this number, then it waits for the learner. A share of what is left: as
    actors receive each other's steps late, several may together take a few more."""
    env_steps: int
    is_finished: bool
    """The training is over: stop."""


class Reject(LinkMessage):
    """The error for which the learner closes the connection."""

    kind: Literal["reject"] = "reject"
    code: str
    message: str


class OldHandshake(LinkMessage):
    """First message of an actor of protocol 1, without its fields; it is rejected."""

    model_config = ConfigDict(extra="ignore")

    kind: Literal["hello"] = "hello"


class OldReject(LinkMessage):
    """`Reject` in protocol 1, for actors that read no other; a learner that sends it is of protocol 1."""

    kind: Literal["refusal"] = "refusal"
    code: str
    message: str


ActorMessage = Handshake | Heartbeat | Report | OldHandshake
LearnerMessage = HandshakeReply | Ack | Reject | OldReject

_actor_messages: TypeAdapter[ActorMessage] = TypeAdapter(Annotated[ActorMessage, Field(discriminator="kind")])
_learner_messages: TypeAdapter[LearnerMessage] = TypeAdapter(Annotated[LearnerMessage, Field(discriminator="kind")])


def parse_actor_message(text: str) -> ActorMessage:
    """Parse a message of an actor.

    Raises:
        LinkProtocolError: it is not one of the messages above.
    """
    return _parse(_actor_messages, text)


def parse_learner_message(text: str) -> LearnerMessage:
    """Parse a message of the learner.

    Raises:
        LinkProtocolError: it is not one of the messages above.
    """
    return _parse(_learner_messages, text)


def _parse(adapter: TypeAdapter[_M], text: str) -> _M:
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "message"
        raise LinkProtocolError(f"this is no message of protocol {PROTOCOL}: {place}: {first['msg']}") from error
