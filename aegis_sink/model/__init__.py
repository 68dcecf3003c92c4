"""What is true: the words of the design as frozen dataclasses. No I/O, no clock, no randomness."""

from aegis_sink.model.diagnosis import (
    CheckStatus,
    Diagnosis,
    Fix,
    FixAction,
    FixCheck,
    Risk,
    RuledOut,
    Verdict,
)
from aegis_sink.model.digest import Digest, DigestKind, DigestLine
from aegis_sink.model.evidence import Collected, Evidence, OwnerChain
from aegis_sink.model.feedback import Feedback
from aegis_sink.model.finding import Finding, ResultRef
from aegis_sink.model.incident import (
    PART_OF,
    Follower,
    HistoryEntry,
    Incident,
    Mute,
    MuteKind,
    Severity,
    State,
)
from aegis_sink.model.notice import OWN_CHANNEL, Audience, Notice, NoticeReason, Posted
from aegis_sink.model.objects import ObjectRef

__all__ = [
    "OWN_CHANNEL",
    "PART_OF",
    "Audience",
    "CheckStatus",
    "Collected",
    "Diagnosis",
    "Digest",
    "DigestKind",
    "DigestLine",
    "Evidence",
    "Feedback",
    "Finding",
    "Fix",
    "FixAction",
    "FixCheck",
    "Follower",
    "HistoryEntry",
    "Incident",
    "Mute",
    "MuteKind",
    "Notice",
    "NoticeReason",
    "ObjectRef",
    "OwnerChain",
    "Posted",
    "ResultRef",
    "Risk",
    "RuledOut",
    "Severity",
    "State",
    "Verdict",
]
