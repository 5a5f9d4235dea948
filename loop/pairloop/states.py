"""The life of a round, and the one table of its legal moves."""

from enum import StrEnum


class RoundState(StrEnum):
    """Where a round stands.

    ::

        SELECTING → PUBLISHING → COLLECTING → TRAINING ─┬─→ CLOSED
                                     ↑           │      └─→ TUNING → GENERATING → CLOSED
                                     └───────────┴── reopened (the latest round only) ──┘
        SELECTING ── reopened before anything was chosen, to train again ──→ COLLECTING
        any open state ── final error, or by hand ──→ ABANDONED
        CLOSED, ABANDONED ── tuning by hand (the latest round only) ──→ TUNING

    A retryable error leaves the state as it is; the next ``step`` tries again.
    """

    SELECTING = "selecting"
    PUBLISHING = "publishing"
    COLLECTING = "collecting"
    TRAINING = "training"
    TUNING = "tuning"
    GENERATING = "generating"
    CLOSED = "closed"
    ABANDONED = "abandoned"

    @property
    def is_terminal(self) -> bool:
        """True when no step will run in this round any more."""
        return self in (RoundState.CLOSED, RoundState.ABANDONED)


ROUND_MOVES: dict[RoundState, frozenset[RoundState]] = {
    RoundState.SELECTING: frozenset({RoundState.PUBLISHING, RoundState.COLLECTING, RoundState.ABANDONED}),
    RoundState.PUBLISHING: frozenset({RoundState.COLLECTING, RoundState.ABANDONED}),
    RoundState.COLLECTING: frozenset({RoundState.TRAINING, RoundState.ABANDONED}),
    RoundState.TRAINING: frozenset({RoundState.TUNING, RoundState.CLOSED, RoundState.COLLECTING, RoundState.ABANDONED}),
    RoundState.TUNING: frozenset({RoundState.GENERATING, RoundState.CLOSED, RoundState.ABANDONED}),
    RoundState.GENERATING: frozenset({RoundState.CLOSED, RoundState.ABANDONED}),
    RoundState.CLOSED: frozenset({RoundState.COLLECTING, RoundState.TUNING}),
    RoundState.ABANDONED: frozenset({RoundState.TUNING}),
}


class AssignmentState(StrEnum):
    """Where one question to one annotator stands.

    ::

        PENDING → SENDING → SENT → ANSWERED
                     │        ├──→ SKIPPED      (asked again as a new assignment, or retired)
                     │        └──→ WITHDRAWN    (confirmed by the backend; a late vote still counts)
                     ├──→ AMBIGUOUS → SENT      (the answer to a push got lost: look up before sending again)
                     └──→ REFUSED               (the backend said it cannot ask this)
    """

    PENDING = "pending"
    SENDING = "sending"
    AMBIGUOUS = "ambiguous"
    SENT = "sent"
    ANSWERED = "answered"
    SKIPPED = "skipped"
    WITHDRAWN = "withdrawn"
    REFUSED = "refused"

    @property
    def is_open(self) -> bool:
        """True while a vote is still expected, so its cost stays reserved."""
        return self in _OPEN


_OPEN = frozenset({AssignmentState.PENDING, AssignmentState.SENDING, AssignmentState.AMBIGUOUS, AssignmentState.SENT})
OPEN_ASSIGNMENT_STATES = tuple(sorted(_OPEN))
