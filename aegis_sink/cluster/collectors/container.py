"""One container of a pod: what was asked for, what state it is in, how it ended (pure)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from aegis_sink.cluster.document import Document, say_time
from aegis_sink.cluster.quantity import millicores, size
from aegis_sink.model.facts import ContainerFacts

_HEAP = re.compile(r"-Xmx(\d{1,15})([kKmMgGtT]?)")
_HEAP_VARIABLES = frozenset(
    {"JAVA_TOOL_OPTIONS", "JAVA_OPTS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "CATALINA_OPTS"}
)
_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_SECRET_FLAG = re.compile(r"--?[\w-]*(?:password|passwd|secret|token|key|credential)s?", re.I)
_STARTING = frozenset({"", "ContainerCreating", "PodInitializing"})

INIT_SECONDS = 120
"""An init container that runs longer holds its pod back, and its log is read."""

TERMINATION_MESSAGE_BYTES = 2048
"""The kubelet keeps the last so many bytes of a log as message: the first line may be cut."""


@dataclass(frozen=True, slots=True)
class Container:
    """A container with its facts; `failing` when it is one to look at, `ran` when it has a log."""

    facts: ContainerFacts
    text: str
    failing: bool
    running: bool
    ran_before: bool
    ended: datetime | None


def containers(pod: Document, now: datetime) -> tuple[Container, ...]:
    """All containers of a pod: init and sidecar ones first, as they start."""
    return tuple(_containers(pod, now))


def _containers(pod: Document, now: datetime) -> Iterator[Container]:
    for specs, statuses, init in (
        ("initContainers", "initContainerStatuses", True),
        ("containers", "containerStatuses", False),
    ):
        by_name = {s.text("name"): s for s in pod.items("status", statuses)}
        for spec in pod.items("spec", specs):
            status = by_name.get(spec.text("name"), Document())
            yield _container(spec, status, pod, init=init, now=now)


def _container(
    spec: Document, status: Document, pod: Document, *, init: bool, now: datetime
) -> Container:
    state, last = status.at("state"), status.at("lastState", "terminated")
    ended = state.at("terminated") or last
    restarts = status.number("restartCount") or 0
    sidecar = init and spec.text("restartPolicy") == "Always"
    started_at, finished_at = ended.time("startedAt"), ended.time("finishedAt")
    running_since = state.time("running", "startedAt")
    exit_code = ended.number("exitCode")
    ports = tuple(_port(p) for p in spec.items("ports"))
    facts = ContainerFacts(
        name=spec.text("name"),
        init=init,
        sidecar=sidecar,
        image=spec.text("image"),
        image_tag=image_tag(spec.text("image")),
        image_pull_policy=spec.text("imagePullPolicy"),
        command=flags(spec.texts("command")),
        args=flags(spec.texts("args")),
        ready=status.flag("ready"),
        started=status.flag("started"),
        restarts=restarts,
        waiting_reason=state.text("waiting", "reason"),
        waiting_message=state.text("waiting", "message"),
        running_seconds=_seconds(running_since, now),
        exit_code=exit_code,
        termination_reason=ended.text("reason"),
        termination_message=_message(ended.text("message")),
        signal=ended.number("signal") or _signal(exit_code),
        lived_seconds=_seconds(started_at, finished_at),
        cpu_request=millicores(spec.text("resources", "requests", "cpu")),
        cpu_limit=millicores(spec.text("resources", "limits", "cpu")),
        memory_request=size(spec.text("resources", "requests", "memory")),
        memory_limit=size(spec.text("resources", "limits", "memory")),
        env_names=tuple(e.text("name") for e in spec.items("env")),
        java_max_heap=_java_max_heap(spec),
        ports=ports,
        liveness_probe=probe_line(spec.at("livenessProbe")),
        readiness_probe=probe_line(spec.at("readinessProbe")),
        startup_probe=probe_line(spec.at("startupProbe")),
        probe_ports=tuple(_probe_ports(spec)),
        liveness_initial_delay_seconds=_delay(spec.at("livenessProbe")),
        liveness_grace_seconds=_grace(spec.at("livenessProbe")),
        run_as_user=_first_number(spec, pod, "runAsUser"),
        run_as_non_root=_first_flag(spec, pod, "runAsNonRoot"),
        read_only_root=spec.flag("securityContext", "readOnlyRootFilesystem"),
        privileged=spec.flag("securityContext", "privileged"),
    )
    return Container(
        facts=facts,
        text="\n".join(_lines(facts, spec, state, last)),
        failing=_failing(facts, state, pod),
        running=bool(state.at("running")),
        ran_before=restarts > 0 or bool(last),
        ended=finished_at,
    )


def _failing(facts: ContainerFacts, state: Document, pod: Document) -> bool:
    if facts.waiting_reason not in _STARTING:
        return True
    if state.has("terminated"):
        return facts.exit_code not in (0, None)
    if facts.restarts and facts.exit_code not in (0, None):
        return True
    if not state.at("running") or facts.ready is not False:
        return False
    # A sidecar among the init containers has to become ready; the others have to end.
    return not facts.init or facts.sidecar or (facts.running_seconds or 0) > INIT_SECONDS


def _lines(facts: ContainerFacts, spec: Document, state: Document, last: Document) -> Iterator[str]:
    if facts.waiting_reason:
        yield f"waiting: {facts.waiting_reason} {facts.waiting_message}".rstrip()
    elif state.has("terminated"):
        yield f"ended: {_ending(state.at('terminated'))}"
    elif state.has("running"):
        ready = "ready" if facts.ready else "not ready"
        yield f"running since {say_time(state.time('running', 'startedAt'))}, {ready}"
    if last:
        yield f"last run: {_ending(last)}"
    yield f"restarts: {facts.restarts}"
    yield f"image: {facts.image} (pull {facts.image_pull_policy or 'default'})"
    if facts.command or facts.args:
        yield f"command: {' '.join((*facts.command, *facts.args))}"
    for what in ("requests", "limits"):
        quantities = spec.mapping("resources", what)
        told = ", ".join(f"{name} {amount}" for name, amount in quantities.items())
        yield f"{what}: {told or 'none'}"
    if facts.ports:
        yield f"ports: {', '.join(facts.ports)}"
    for name in ("liveness", "readiness", "startup"):
        line = probe_line(spec.at(f"{name}Probe"))
        if line:
            yield f"{name} probe: {line}"
    if spec.items("env"):
        yield f"env (names only): {', '.join(_env_names(spec))}"
    sources = [_env_from(source) for source in spec.items("envFrom")]
    if sources:
        yield f"env from: {', '.join(sources)}"


def _ending(ended: Document) -> str:
    reason, code = ended.text("reason") or "?", ended.text("exitCode")
    times = f"{say_time(ended.time('startedAt'))} to {say_time(ended.time('finishedAt'))}"
    message = _message(ended.text("message"))
    return f"{reason}, exit code {code}, {times}" + (f", said: {message}" if message else "")


def _message(text: str) -> str:
    """A termination message without a first line that may be the end of a longer one."""
    if len(text.encode()) >= TERMINATION_MESSAGE_BYTES and "\n" in text:
        return text.partition("\n")[2].strip()
    return text.strip()


def _env_names(spec: Document) -> Iterator[str]:
    for variable in spec.items("env"):
        source = variable.at("valueFrom")
        where = ""
        for kind, label in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
            if source.has(kind):
                where = (
                    f" (from {label} {source.text(kind, 'name')}, key {source.text(kind, 'key')})"
                )
        yield variable.text("name") + where


def _env_from(source: Document) -> str:
    for kind, label in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
        if source.has(kind):
            return f"{label} {source.text(kind, 'name')}"
    return "?"


def flags(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """Arguments with a secret flag joined to its value, so that redaction sees the two together."""
    joined: list[str] = []
    for argument in arguments:
        if joined and _SECRET_FLAG.fullmatch(joined[-1]) and not argument.startswith("-"):
            joined[-1] = f"{joined[-1]} {argument}"
        else:
            joined.append(argument)
    return tuple(joined)


def image_tag(image: str) -> str:
    """The tag: what stands after the last ":", "latest" without one, "" for a digest alone."""
    name, at, _ = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return tag or ("" if at or not image else "latest")


def probe_line(probe: Document) -> str:
    """ "http GET :8080/healthz delay=0s period=10s timeout=1s failures=3", "" without a probe."""
    if not probe:
        return ""
    if probe.has("httpGet"):
        scheme = (probe.text("httpGet", "scheme") or "http").lower()
        asks = f"{scheme} GET :{probe.text('httpGet', 'port')}{probe.text('httpGet', 'path')}"
    elif probe.has("tcpSocket"):
        asks = f"tcp :{probe.text('tcpSocket', 'port')}"
    elif probe.has("grpc"):
        asks = f"grpc :{probe.text('grpc', 'port')}"
    else:
        asks = f"exec {' '.join(flags(probe.texts('exec', 'command')))}"
    return (
        f"{asks} delay={probe.number('initialDelaySeconds') or 0}s "
        f"period={probe.number('periodSeconds') or 10}s "
        f"timeout={probe.number('timeoutSeconds') or 1}s "
        f"failures={probe.number('failureThreshold') or 3}"
    )


def _probe_ports(spec: Document) -> Iterator[str]:
    named = {p.text("name"): p.text("containerPort") for p in spec.items("ports")}
    seen = set()
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        for how in ("httpGet", "tcpSocket", "grpc"):
            port = spec.text(probe, how, "port")
            port = named.get(port, port)
            if port and port not in seen:
                seen.add(port)
                yield port


def _delay(probe: Document) -> int | None:
    return (probe.number("initialDelaySeconds") or 0) if probe else None


def _grace(probe: Document) -> int | None:
    if not probe:
        return None
    failures = (probe.number("periodSeconds") or 10) * (probe.number("failureThreshold") or 3)
    return (probe.number("initialDelaySeconds") or 0) + failures


def _port(port: Document) -> str:
    name = port.text("name")
    number = f"{port.text('containerPort')}/{port.text('protocol') or 'TCP'}"
    return f"{name}:{number}" if name else number


def _java_max_heap(spec: Document) -> int | None:
    words = [*spec.texts("command"), *spec.texts("args")]
    words += [e.text("value") for e in spec.items("env") if e.text("name") in _HEAP_VARIABLES]
    found = _HEAP.findall(" ".join(words))
    if not found:
        return None
    number, unit = found[-1]  # the JVM takes the last one
    return int(number) * _UNITS[unit.lower()]


def _signal(exit_code: int | None) -> int | None:
    """A shell's and the kubelet's way to say "killed by signal n": 128 + n."""
    return exit_code - 128 if exit_code is not None and 128 < exit_code < 160 else None


def _seconds(start: datetime | None, end: datetime | None) -> int | None:
    return max(0, int((end - start).total_seconds())) if start and end else None


def _first_number(spec: Document, pod: Document, name: str) -> int | None:
    own = spec.number("securityContext", name)
    return own if own is not None else pod.number("spec", "securityContext", name)


def _first_flag(spec: Document, pod: Document, name: str) -> bool | None:
    own = spec.flag("securityContext", name)
    return own if own is not None else pod.flag("spec", "securityContext", name)
