"""The learner's exception tree: one class for each thing that can go wrong on the learning side.

RlError
├── ConfigError               the request to build or start something is wrong; nothing was touched
│   └── MissingExtra              an optional package is not installed
├── DataError                 data is not what this place holds; nothing was stored
│   ├── SchemaMismatch            a field is missing, unknown, of the wrong shape or not finite
│   ├── CodecError                bytes cannot be decoded, or a tree cannot be encoded
│   ├── JournalError              the journal file cannot be used
│   │   └── SequenceGap               transitions between the stored and the offered ones are missing
│   └── EmptyBuffer               there is nothing to sample yet
├── EnvironmentFailed         the environment, or the robot in it, cannot go on
│   └── EnvironmentInterrupted    until a person has mended something: a fault, a stop, a lost connection
│       └── PolicyUnavailable         a served base policy does not answer, or not with actions
├── LinkError                 actor and learner cannot talk
│   ├── LinkUnavailable           nobody answers at that address, or not in time
│   ├── LinkUnauthorized          the token is missing or wrong
│   └── LinkProtocolError         the other end said something that this end does not understand
├── TrainingDiverged          networks hold numbers that are not finite; nothing of them was published or saved
├── ProcessGroupError         the processes that compute one update together cannot go on
└── CheckpointError           a checkpoint cannot be written or read
    ├── RunExists                 the directory already holds a run
    └── CheckpointNotFound        there is no valid checkpoint to resume from
"""

from __future__ import annotations

from typing import ClassVar


class RlError(Exception):
    """Root of the tree. `code` is the stable name that travels over the link."""

    code: ClassVar[str] = "rl_error"


class ConfigError(RlError):
    """The request to build or start something is wrong; nothing was touched."""

    code = "config_error"


class MissingExtra(ConfigError):
    """An optional package is not installed; the message names the pip line."""

    code = "missing_extra"


class DataError(RlError):
    """Data is not what this place holds; nothing was stored."""

    code = "data_error"


class SchemaMismatch(DataError):
    """A field is missing, unknown, of the wrong shape or type, or not finite."""

    code = "schema_mismatch"


class CodecError(DataError):
    """Bytes cannot be decoded, or a tree cannot be encoded."""

    code = "codec_error"


class JournalError(DataError):
    """The journal file cannot be used: it is foreign, damaged, read-only or locked."""

    code = "journal_error"


class SequenceGap(JournalError):
    """Transitions between the last stored and the first offered one are missing."""

    code = "sequence_gap"


class EmptyBuffer(DataError):
    """There is nothing to sample yet."""

    code = "empty_buffer"


class EnvironmentFailed(RlError):
    """The environment, or the robot in it, cannot go on; the message is its own."""

    code = "environment_failed"


class EnvironmentInterrupted(EnvironmentFailed):
    """The environment cannot go on until a person has mended something: a fault, a stop, a lost connection."""

    code = "environment_interrupted"
    remedy: ClassVar[str] = "mend this and recover the robot"
    """Words for what a person does, for whom the actor waits."""


class PolicyUnavailable(EnvironmentInterrupted):
    """A served base policy does not answer in time, or not with actions: there is nothing to do in this state."""

    code = "policy_unavailable"
    remedy: ClassVar[str] = "the policy's server has to answer again; the robot needs no recovery"


class LinkError(RlError):
    """Actor and learner cannot talk."""

    code = "link_error"


class LinkUnavailable(LinkError):
    """Nobody answers at that address, or not in time."""

    code = "link_unavailable"


class LinkUnauthorized(LinkError):
    """The token is missing or wrong."""

    code = "link_unauthorized"


class LinkProtocolError(LinkError):
    """The other end said something that this end does not understand."""

    code = "link_protocol_error"


class TrainingDiverged(RlError):
    """Networks hold numbers that are not finite; nothing of them was published or saved."""

    code = "training_diverged"


class ProcessGroupError(RlError):
    """The processes that compute one update together cannot go on: one of them ended, or does not answer."""

    code = "process_group_error"


class CheckpointError(RlError):
    """A checkpoint cannot be written or read."""

    code = "checkpoint_error"


class RunExists(CheckpointError):
    """The directory already holds a run."""

    code = "run_exists"


class CheckpointNotFound(CheckpointError):
    """There is no valid checkpoint to resume from."""

    code = "checkpoint_not_found"
