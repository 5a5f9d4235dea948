"""Every error that pairloop raises on purpose.

The tree, with the exit code of the command line in brackets::

    PairloopError [1]
    ├── UsageError [2]            the call cannot be meant this way
    │   ├── ConfigError           campaign.toml: names file and key
    │   ├── DataError             a data file: names file and line
    │   └── MissingExtra          an optional dependency is not installed: names the extra
    ├── PluginError [4]           a plugin is missing, broken or breaks its contract: names the distribution
    │   ├── PluginNotFound
    │   ├── DuplicatePlugin
    │   └── ContractViolation
    ├── BackendError [4]          the annotation backend
    │   ├── BackendUnavailable    retryable: the same call may work later
    │   └── BackendRejected       final
    ├── ModelError [4]            training, scoring or tuning
    │   ├── NoSignal              the votes hold nothing to learn from (all ties, one class, none)
    │   └── Diverged              numbers stopped being finite
    ├── BudgetExceeded [4]        publishing would spend more than the campaign may
    ├── StoreError [6]            the campaign's files
    │   ├── SchemaTooOld          names the upgrade command
    │   ├── SchemaTooNew
    │   ├── IllegalTransition     the state machine does not allow the move
    │   ├── CorruptionDetected    a hash does not match
    │   └── StorageFull [74]      disk full, read-only or failing
    └── CampaignLocked [75]       another process is writing; names it

Exit code 3 means "waiting for annotators", 130 and 143 "interrupted"; see ``docs/cli.md``.
"""

from typing import ClassVar


class PairloopError(Exception):
    """Base of all errors: ``message`` says what is wrong and where, ``hint`` what to do about it."""

    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class UsageError(PairloopError):
    """The call cannot be meant this way."""

    exit_code = 2


class ConfigError(UsageError):
    """The configuration is wrong; the message names the file and the key."""


class DataError(UsageError):
    """A data file is wrong; the message names the file and the line."""


class MissingExtra(UsageError):
    """An optional dependency is not installed; the hint names the extra that brings it."""


class PluginError(PairloopError):
    """A plugin could not be loaded or used."""

    exit_code = 4


class PluginNotFound(PluginError, UsageError):
    """No installed distribution offers the part that the config names."""

    exit_code = 2


class DuplicatePlugin(PluginError):
    """Two distributions offer a part of the same name."""


class ContractViolation(PluginError):
    """A plugin returned something that its protocol forbids."""


class BackendError(PairloopError):
    """The annotation backend failed."""

    exit_code = 4


class BackendUnavailable(BackendError):
    """The backend cannot be reached now; the same call may work later."""

    retryable = True


class BackendRejected(BackendError):
    """The backend refused for good."""


class ModelError(PairloopError):
    """Training, scoring or tuning failed."""

    exit_code = 4


class NoSignal(ModelError):
    """The votes hold nothing to learn from."""


class Diverged(ModelError):
    """Numbers stopped being finite; nothing was kept."""


class BudgetExceeded(PairloopError):
    """Publishing would spend more labels, money or time than the campaign may."""

    exit_code = 4


class StoreError(PairloopError):
    """The campaign's files cannot be used."""

    exit_code = 6


class SchemaTooOld(StoreError):
    """The database was written by an older release; the hint is the upgrade command."""


class SchemaTooNew(StoreError):
    """The database was written by a newer release."""


class IllegalTransition(StoreError):
    """The state machine does not allow this move, or another process made it first."""


class CorruptionDetected(StoreError):
    """Stored bytes do not match their hash."""


class StorageFull(StoreError):
    """The disk is full, read-only or failing; what was committed before is intact."""

    exit_code = 74


class CampaignLocked(PairloopError):
    """Another process is writing to this campaign."""

    exit_code = 75
