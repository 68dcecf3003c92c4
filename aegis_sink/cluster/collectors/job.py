"""Job and CronJob: how it ended, its schedule, the pod of its last run."""

import re

from aegis_sink.cluster.collectors.events import collect_events
from aegis_sink.cluster.collectors.generic import add_object, condition_lines
from aegis_sink.cluster.collectors.pod import examine_pod, is_well
from aegis_sink.cluster.collectors.quota import collect_quotas, refused
from aegis_sink.cluster.collectors.rollout import selector
from aegis_sink.cluster.document import Document, say, say_time
from aegis_sink.cluster.visit import Visit, together
from aegis_sink.model import ObjectRef
from aegis_sink.model.facts import JobFacts

MOST_JOBS = 50
_FIELD = re.compile(r"(?:\*|\?|[\dA-Za-z]{1,9}(?:-[\dA-Za-z]{1,9})?)(?:/\d{1,4})?")
_NAMED = re.compile(r"@(?:yearly|annually|monthly|weekly|daily|midnight|hourly)|@every \S{1,20}")


async def collect_job(visit: Visit) -> None:
    """The Job, its events, and its newest pod that failed."""
    job = await visit.get(visit.ref)
    if job is None:
        return
    if not job:
        add_object(visit, visit.ref, job)
        return
    _add_job(visit, visit.ref, job)
    failed = job.condition("Failed").text("status") == "True"
    visit.healthy = not failed and not job.flag("spec", "suspend")

    async def events() -> None:
        if refused(await collect_events(visit, visit.ref)):
            await collect_quotas(visit, visit.ref.namespace)

    await together(events(), _newest_pod(visit, job))


async def collect_cron_job(visit: Visit) -> None:
    """The CronJob, its events, and its newest Job with that one's pod."""
    cron_job = await visit.get(visit.ref)
    if cron_job is None:
        return
    if not cron_job:
        add_object(visit, visit.ref, cron_job)
        return
    facts = _cron_facts(visit, cron_job)
    visit.healthy = facts.schedule_valid is not False and not facts.suspended
    visit.add(f"CronJob {visit.ref.path}", "\n".join(_cron_lines(cron_job, facts)), 80, facts)

    async def events() -> None:
        await collect_events(visit, visit.ref)

    async def last_run() -> None:
        found = await visit.list("Job", visit.ref.namespace, most=MOST_JOBS)
        jobs = sorted(
            (j for j in found or () if j.controller == visit.ref),
            key=lambda j: (say_time(j.created), j.name),
        )
        if jobs:
            job = jobs[-1]
            _add_job(visit, ObjectRef("Job", job.name, job.namespace), job)
            await _newest_pod(visit, job)

    await together(events(), last_run())


async def _newest_pod(visit: Visit, job: Document) -> None:
    # By its own selector: the label in it was called otherwise before Kubernetes 1.27.
    labels = selector(job.at("spec", "selector"))
    if not labels:
        return
    found = await visit.list("Pod", job.namespace, labels=labels, most=MOST_JOBS)
    unwell = sorted(
        (p for p in found or () if not is_well(p)), key=lambda p: (say_time(p.created), p.name)
    )
    if unwell:
        pod = unwell[-1]
        await examine_pod(visit, ObjectRef("Pod", pod.name, pod.namespace), pod)


def _add_job(visit: Visit, ref: ObjectRef, job: Document) -> None:
    status, spec = job.at("status"), job.at("spec")
    failure = job.condition("Failed")
    facts = JobFacts(
        kind="Job",
        suspended=bool(spec.flag("suspend")),
        failed=status.number("failed") or 0,
        succeeded=status.number("succeeded") or 0,
        active=status.number("active") or 0,
        backoff_limit=spec.number("backoffLimit"),
        active_deadline_seconds=spec.number("activeDeadlineSeconds"),
        failure_reason=failure.text("reason") if failure.text("status") == "True" else "",
    )
    lines = [
        f"started {say_time(status.time('startTime'))}, "
        f"ended {say_time(status.time('completionTime'))}",
        f"active {say(facts.active)}, succeeded {say(facts.succeeded)}, failed {say(facts.failed)}, "
        f"backoff limit {say(facts.backoff_limit)}",
    ]
    if facts.suspended:
        lines.append("suspended")
    if facts.active_deadline_seconds is not None:
        lines.append(f"deadline: {facts.active_deadline_seconds} s")
    visit.add(f"Job {ref.path}", "\n".join(lines + condition_lines(job)), 80, facts, ref)


def _cron_facts(visit: Visit, cron_job: Document) -> JobFacts:
    spec, status = cron_job.at("spec"), cron_job.at("status")
    return JobFacts(
        kind="CronJob",
        suspended=bool(spec.flag("suspend")),
        active=len(status.items("active")),
        schedule=spec.text("schedule"),
        schedule_valid=is_schedule(spec.text("schedule")),
        starting_deadline_seconds=spec.number("startingDeadlineSeconds"),
        last_schedule_age_seconds=visit.age(status.time("lastScheduleTime")),
        last_success_age_seconds=visit.age(status.time("lastSuccessfulTime")),
    )


def _cron_lines(cron_job: Document, facts: JobFacts) -> list[str]:
    status = cron_job.at("status")
    valid = "" if facts.schedule_valid else " (not a valid schedule)"
    policy = cron_job.text("spec", "concurrencyPolicy") or "Allow"
    lines = [
        f"schedule: {facts.schedule}{valid}, time zone {cron_job.text('spec', 'timeZone') or '-'}",
        f"last scheduled {say_time(status.time('lastScheduleTime'))}, "
        f"last success {say_time(status.time('lastSuccessfulTime'))}",
        f"running now: {say(facts.active)}, concurrency {policy}",
    ]
    if facts.suspended:
        lines.append("suspended")
    if facts.starting_deadline_seconds is not None:
        lines.append(f"starting deadline: {facts.starting_deadline_seconds} s")
    return lines


def is_schedule(text: str) -> bool:
    """Five cron fields, or a name such as "@daily". Ranges of numbers are left to the server."""
    if text.startswith("@"):
        return bool(_NAMED.fullmatch(text))
    words = text.removeprefix("TZ=").split()
    if text.startswith(("TZ=", "CRON_TZ=")):
        words = words[1:]
    return len(words) == 5 and all(
        _FIELD.fullmatch(part) for word in words for part in word.split(",")
    )
