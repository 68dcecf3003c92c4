"""The numbers at `/metrics`. Every name is documented in docs/operations.md; a test compares."""

from collections.abc import Callable, Mapping
from math import nan

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    """One registry per service, so that several can live in one process (tests)."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._posts = Counter(
            "aegis_sink_posts",
            "Requests at the doors, by door and outcome.",
            ["door", "outcome"],
            registry=self.registry,
        )
        self._post_of: dict[tuple[str, str], Counter] = {}
        for outcome in ("refused", "not_stored"):  # increase() of an alert sees no series begin
            self._posts.labels("webhook", outcome)
        self._cut = Counter(
            "aegis_sink_connections_cut",
            "Connections closed by the server, by reason (slow_request, slow_reader, "
            "head_too_large, no_room).",
            ["reason"],
            registry=self.registry,
        )
        self._jobs = Histogram(
            "aegis_sink_job_seconds",
            "How long a stage ran, by outcome (done, later, failed, aborted).",
            ["stage", "outcome"],
            buckets=(0.01, 0.05, 0.25, 1, 5, 30, 120, 600),
            registry=self.registry,
        )
        self._questions = Histogram(
            "aegis_sink_model_seconds",
            "How long a question to the model took, by outcome (ok, repaired, truncated, invalid, "
            "timeout, unavailable, refused, open, shed).",
            ["outcome"],
            buckets=(1, 5, 15, 30, 60, 120, 300, 600),
            registry=self.registry,
        )
        self._queued = Histogram(
            "aegis_sink_model_queue_seconds",
            "How long a question waited here for its turn at the model.",
            buckets=(0.1, 1, 5, 15, 30, 60, 120, 300),
            registry=self.registry,
        )
        self._loads = Histogram(
            "aegis_sink_model_load_seconds",
            "How long the server loaded the model for a question, as it says itself (Ollama).",
            buckets=(0.1, 1, 5, 15, 30, 60, 120, 300),
            registry=self.registry,
        )
        self._speed = Histogram(
            "aegis_sink_model_tokens_per_second",
            "Speed of the answer's tokens, as the server says itself (Ollama).",
            buckets=(1, 2, 5, 10, 20, 50, 100, 200),
            registry=self.registry,
        )
        self._window = Histogram(
            "aegis_sink_model_window_used",
            "Share of AEGIS_LLM_NUM_CTX that the longest prompt of a question took.",
            buckets=(0.1, 0.25, 0.5, 0.75, 0.9, 1),
            registry=self.registry,
        )
        self._tokens = Counter(
            "aegis_sink_model_tokens",
            "Tokens of the model, by direction (prompt, answer).",
            ["direction"],
            registry=self.registry,
        )
        self._dropped = Counter(
            "aegis_sink_model_sentences_dropped",
            "Sentences of the model that failed a check and were not shown.",
            registry=self.registry,
        )
        self._incidents = Gauge(
            "aegis_sink_incidents", "Incidents by state.", ["state"], registry=self.registry
        )
        self._waiting = Gauge(
            "aegis_sink_jobs_waiting",
            "Jobs that wait or run, by stage.",
            ["stage"],
            registry=self.registry,
        )
        self._failing = Gauge(
            "aegis_sink_jobs_failing",
            "Jobs that failed the last time and are tried again, by stage.",
            ["stage"],
            registry=self.registry,
        )
        self._writes = Gauge(
            "aegis_sink_store_waiting_writes",
            "Writes that wait for a commit.",
            registry=self.registry,
        )
        self._refuses = Gauge(
            "aegis_sink_store_refuses",
            "1 when the database refused the last write, else 0.",
            registry=self.registry,
        )
        self._inbox = Gauge(
            "aegis_sink_inbox_posts",
            "Posts that were acknowledged and of which no incident was made yet.",
            registry=self.registry,
        )
        self._quarantine = Gauge(
            "aegis_sink_quarantine_items", "Quarantined bodies.", registry=self.registry
        )
        self._quarantine_bytes = Gauge(
            "aegis_sink_quarantine_bytes", "Bytes that quarantine takes.", registry=self.registry
        )

        self._results = Gauge(
            "aegis_sink_results", "Results in the cluster.", registry=self.registry
        )
        self._results_age = Gauge(
            "aegis_sink_results_listed_seconds",
            "How long ago Results were last listed whole; NaN before that.",
            registry=self.registry,
        )
        self._restarts = Counter(
            "aegis_sink_results_restarts",
            "Lists and watches of Results begun anew, by reason (resync, ended, expired, cut, "
            "silent, missing, refused, away).",
            ["reason"],
            registry=self.registry,
        )
        self._held = Gauge(
            "aegis_sink_results_held",
            "Incidents held open because all Results of their K8sGPT CR vanished at once.",
            registry=self.registry,
        )
        self._leading = Gauge(
            "aegis_sink_reconciler_leading",
            "1 on the replica whose turn it is to read Results, else 0.",
            registry=self.registry,
        )
        self._reading = Gauge(
            "aegis_sink_reconciler_reading",
            "1 on the replica that reads Results; 0 on others and while they cannot be read; "
            "NaN without a cluster.",
            registry=self.registry,
        )
        for gauge in (self._results_age, self._reading):
            gauge.set(nan)

    def watch_results(
        self,
        *,
        seen: Callable[[], float],
        listed_seconds: Callable[[], float],
        held: Callable[[], float],
        leading: Callable[[], float],
        reading: Callable[[], float],
    ) -> None:
        """Where the numbers of the reconciler come from, asked at each scrape."""
        self._results.set_function(seen)
        self._results_age.set_function(listed_seconds)
        self._held.set_function(held)
        self._leading.set_function(leading)
        self._reading.set_function(reading)

    def count_restart(self, reason: str) -> None:
        """A list or a watch of Results began anew."""
        self._restarts.labels(reason).inc()

    def count_post(self, door: str, outcome: str) -> None:
        """A request at a door got its answer."""
        post = self._post_of.get((door, outcome))
        if post is None:  # looking a label set up takes the library as long as reading a body
            post = self._post_of[door, outcome] = self._posts.labels(door, outcome)
        post.inc()

    def count_cut(self, reason: str) -> None:
        """A connection was closed because its client passed a limit."""
        self._cut.labels(reason).inc()

    def observe_job(self, stage: str, outcome: str, seconds: float) -> None:
        """A stage ended."""
        self._jobs.labels(stage, outcome).observe(seconds)

    def observe_model(
        self,
        outcome: str,
        *,
        seconds: float,
        queue_seconds: float,
        load_seconds: float,
        prompt_tokens: int,
        answer_tokens: int,
        answer_seconds: float,
        window_used: float,
        dropped: int,
    ) -> None:
        """A question to the model ended. What the server did not tell (0) is not counted."""
        self._questions.labels(outcome).observe(seconds)
        self._queued.observe(queue_seconds)
        if load_seconds:
            self._loads.observe(load_seconds)
        if answer_seconds:
            self._speed.observe(answer_tokens / answer_seconds)
        if window_used:
            self._window.observe(window_used)
        self._tokens.labels("prompt").inc(prompt_tokens)
        self._tokens.labels("answer").inc(answer_tokens)
        self._dropped.inc(dropped)

    def show(
        self,
        *,
        incidents: Mapping[str, int],
        jobs: Mapping[str, int],
        failing: Mapping[str, int],
        quarantined: int,
        quarantine_bytes: int,
        waiting_writes: int,
        refuses: bool,
        inbox: int,
    ) -> bytes:
        """The exposition text, with what the store holds at this moment."""
        for gauge, counts in (
            (self._incidents, incidents),
            (self._waiting, jobs),
            (self._failing, failing),
        ):
            gauge.clear()
            for label, count in counts.items():
                gauge.labels(label).set(count)
        self._writes.set(waiting_writes)
        self._refuses.set(refuses)
        self._inbox.set(inbox)
        self._quarantine.set(quarantined)
        self._quarantine_bytes.set(quarantine_bytes)
        return generate_latest(self.registry)
