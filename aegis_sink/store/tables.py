"""The tables. Times are UTC; on disk they are integers, microseconds since 1970, so that they sort.

A change here needs a migration in `migrations/versions`; a test compares the two.
"""

import json
from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.types import TypeDecorator

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(at: datetime) -> int:
    """A time as it stands on disk."""
    return (at - EPOCH) // _MICROSECOND


class UtcTime(TypeDecorator[datetime]):
    """An aware datetime as microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else microseconds(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else EPOCH + value * _MICROSECOND


class Json(TypeDecorator[object]):
    """Any JSON value as text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: object, dialect: Dialect) -> str | None:
        return None if value is None else json.dumps(value, ensure_ascii=False)

    def process_result_value(self, value: str | None, dialect: Dialect) -> object:
        return None if value is None else json.loads(value)


deliveries = Table(
    "deliveries",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("received_at", UtcTime, nullable=False),
    Column("door", String(16), nullable=False),
    Column("dialect", String(32), nullable=False),
    Column("size", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),  # zlib
    Index("ix_deliveries_received_at", "received_at"),
)

# The operator's bodies that were answered 200 and are not made into incidents yet.
inbox = Table(
    "inbox",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("received_at", UtcTime, nullable=False),
    Column("last_received_at", UtcTime, nullable=False),
    Column("times", Integer, nullable=False),
    Column("key", String(64), nullable=False),
    Column("incident_id", String(32), nullable=False),
    Column("body", LargeBinary, nullable=False),
)

incidents = Table(
    "incidents",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("cluster", String(253), nullable=False),
    Column("state", String(16), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("title", Text, nullable=False),
    Column("subject_kind", Text, nullable=False),
    Column("subject_namespace", Text, nullable=False),
    Column("subject_name", Text, nullable=False),
    Column("subject_how", Text, nullable=False),
    Column("failure_class", Text, nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("occurrences", Integer, nullable=False),
    Column("first_seen", UtcTime, nullable=False),
    Column("last_seen", UtcTime, nullable=False),
    Column("gone_at", UtcTime),  # K8sGPT no longer reports it; resolved after the hold
    Column("gone_how", Text, nullable=False, default=""),  # store/results.py
    Column("resolved_at", UtcTime),
    Column("acknowledged_by", Text, nullable=False, default=""),
    Column("acknowledged_at", UtcTime),
    Column("silenced_by", Text, nullable=False, default=""),
    Column("silenced_until", UtcTime),  # NULL in state silenced: until it is resolved
    Column("merged_into", String(32)),
    Column("superseded_by", String(32), nullable=False, default=""),
    Column("mute_kind", String(16)),
    Column("mute_by", String(64)),
    Column("mute_because", Text),
    Column("mute_until", UtcTime),
    Column("may_mute", Boolean, nullable=False, default=False),  # what follows from it
    Column("diagnosing", Boolean, nullable=False, default=False),
    Column("diagnosis", Json),
    Column("evidence", Json),
    Column("missing", Json),
    Column("collected_at", UtcTime),
    Column("root_nonce", String(32)),
    Column("root_intended_at", UtcTime),
    Column("root_channel", Text),
    Column("root_ts", Text),
    Index("ix_incidents_last_seen_id", "last_seen", "id"),
    Index("ix_incidents_state", "state"),
    Index("ix_incidents_merged_into", "merged_into"),
    Index("ix_incidents_gone_at", "gone_at"),
    Index("ix_incidents_mute_by", "mute_by"),
    Index("ix_incidents_first_seen", "first_seen"),
    Index("ix_incidents_subject_namespace", "subject_namespace"),
)

# Which incident a fingerprint means. An incident has several: the one that could be told before
# its owner was known, and the one after.
incident_keys = Table(
    "incident_keys",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("incident_id", ForeignKey("incidents.id", ondelete="CASCADE"), nullable=False),
    Index("ix_incident_keys_incident_id", "incident_id"),
)

findings = Table(
    "findings",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("incident_id", ForeignKey("incidents.id", ondelete="CASCADE"), nullable=False),
    Column("content_key", String(64), nullable=False),
    Column("delivery_id", String(32), nullable=False),  # the newest body that said it
    Column("k8sgpt", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("namespace", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("data", Json, nullable=False),
    Column("times", Integer, nullable=False),
    Column("first_seen", UtcTime, nullable=False),
    Column("last_seen", UtcTime, nullable=False),
    Column("gone_at", UtcTime),  # its Result was deleted and it was not seen since
    Column("hidden_at", UtcTime),  # its Result speaks of another object: it may be so still
    Index("uq_findings_incident_id_content_key", "incident_id", "content_key", unique=True),
    Index("ix_findings_kind_namespace_name", "kind", "namespace", "name"),
)

# The cluster's Results as they were last seen: the list is compared with this.
results = Table(
    "results",
    metadata,
    Column("cluster", String(253), primary_key=True),
    Column("namespace", String(253), primary_key=True),
    Column("name", String(253), primary_key=True),
    Column("uid", String(64), nullable=False),
    Column("digest", String(64), nullable=False),  # of what it says
    Column("k8sgpt", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("object_namespace", Text, nullable=False),
    Column("object_name", Text, nullable=False),
    Column("container", Text, nullable=False),
    Index(
        "ix_results_kind_object_namespace_object_name", "kind", "object_namespace", "object_name"
    ),
)

jobs = Table(
    "jobs",
    metadata,
    Column("incident_id", ForeignKey("incidents.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("due_at", UtcTime, nullable=False),
    Column("generation", Integer, nullable=False, default=0),
    Column("attempts", Integer, nullable=False, default=0),
    Column("lease_owner", String(64)),
    Column("leased_until", UtcTime),
    Column("last_error", Text),
    Index("ix_jobs_kind_due_at", "kind", "due_at"),
)

notices = Table(
    "notices",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("incident_id", ForeignKey("incidents.id", ondelete="CASCADE"), nullable=False),
    Column("reason", String(16), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("data", Json, nullable=False),
    Index("ix_notices_incident_id", "incident_id"),
)

history = Table(
    "history",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("incident_id", ForeignKey("incidents.id", ondelete="CASCADE"), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("what", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Index("ix_history_incident_id", "incident_id"),
)

# What the service decided: to tell, or to wait and for what. One row as long as it decides the same.
decisions = Table(
    "decisions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("incident_id", ForeignKey("incidents.id", ondelete="CASCADE"), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("stage", String(16), nullable=False),
    Column("what", Text, nullable=False),
    Column("because", Text, nullable=False),
    Column("wait_until", UtcTime),
    Column("route", Text, nullable=False),
    Index("ix_decisions_incident_id", "incident_id"),
)

# What a person says of a diagnosis: one word each on an incident, the last.
feedback = Table(
    "feedback",
    metadata,
    Column("incident_id", ForeignKey("incidents.id", ondelete="CASCADE"), primary_key=True),
    Column("user", String(200), primary_key=True),
    Column("by", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("right", Boolean, nullable=False),
    Column("diagnosis", Json, nullable=False),
)

# Buttons that people pressed, written down before Slack hears that they were. `key` tells a press
# that comes twice. `response_url` is where the person who pressed is answered; it works for half an
# hour and is cleared when it was used.
presses = Table(
    "presses",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("key", String(64), nullable=False),
    Column("incident_id", ForeignKey("incidents.id", ondelete="CASCADE"), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("action", String(32), nullable=False),
    Column("user", String(200), nullable=False),
    Column("by", Text, nullable=False),
    Column("response_url", Text, nullable=False),
    Column("answer", Text),  # NULL until it was worked off
    Index("uq_presses_key", "key", unique=True),
    Index("ix_presses_incident_id", "incident_id"),
)

silences = Table(
    "silences",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("matchers", Json, nullable=False),  # texts like namespace="dev"
    Column("starts_at", UtcTime, nullable=False),
    Column("ends_at", UtcTime, nullable=False),
    Column("author", Text, nullable=False),
    Column("comment", Text, nullable=False),
    Index("ix_silences_ends_at", "ends_at"),
)

# Messages that tell of many incidents at once: the day's hints, or a storm.
digests = Table(
    "digests",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("opened_at", UtcTime, nullable=False),
    Column("due_at", UtcTime, nullable=False),
    Column("changed_at", UtcTime, nullable=False),
    Column("told_at", UtcTime),
    Column("nonce", String(32)),
    Column("intended_at", UtcTime),
    Column("intended_channel", Text, nullable=False),
    Column("channel", Text),
    Column("ts", Text),
    Index("ix_digests_due_at", "due_at"),
)

digest_incidents = Table(
    "digest_incidents",
    metadata,
    Column("digest_id", ForeignKey("digests.id", ondelete="CASCADE"), primary_key=True),
    Column("incident_id", ForeignKey("incidents.id", ondelete="CASCADE"), primary_key=True),
    Column("joined_at", UtcTime, nullable=False),
    Index("ix_digest_incidents_incident_id", "incident_id"),
)

# Events for other systems. `sent_at` is NULL until the other side took it.
forwarded = Table(
    "forwarded",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("event_id", String(32), nullable=False),
    Column("incident_id", ForeignKey("incidents.id", ondelete="CASCADE"), nullable=False),
    Column("data", Json, nullable=False),
    Column("sent_at", UtcTime),
    Index("ix_forwarded_incident_id", "incident_id"),
    Index("uq_forwarded_event_id", "event_id", unique=True),
)

# Answers of the model by evidence key: no second question about the same evidence.
answers = Table(
    "answers",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("diagnosis", Json, nullable=False),
)

# One row: what belongs to this installation and must outlive a restart.
installation = Table(
    "installation",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("redaction_key", LargeBinary, nullable=False),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("received_at", UtcTime, nullable=False),
    Column("door", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),  # zlib
    Column("stored", Integer, nullable=False),  # compressed size, for the bound
    Column("retries", Integer, nullable=False, default=0),
    Index("ix_quarantine_received_at", "received_at"),
)
