"""What an on-call person reads first: subject and, in a few words, what is wrong with it."""

import re
from collections.abc import Callable, Sequence

from aegis_sink.model import ObjectRef
from aegis_sink.triage.fingerprint import pulled_image

TITLE_CHARACTERS = 120
_LEAST_CHARACTERS = 40  # of what is wrong, however long the subject's name is

_ENDINGS = {
    "OOMKilled": "was OOM-killed",
    "Error": "keeps crashing",
    "Completed": "ends at once although it should keep running",
    "ContainerCannotRun": "cannot be started",
    "StartError": "cannot be started",
    "DeadlineExceeded": "ran longer than allowed",
}

_Words = str | Callable[[re.Match[str]], str]


def title(subject: ObjectRef, errors: Sequence[str]) -> str:
    """One line of at most about 120 characters: "Deployment shop/api: container api was OOM-killed".

    Rendered from K8sGPT's templates (facts/analyzers.md); the first line of the first error where
    no template fits. Only the most telling error is named, the others are counted.
    """
    ranked = sorted(
        {words: rank for words, rank in map(_words, errors) if words}.items(),
        key=lambda item: item[1],
    )
    if not ranked:
        return f"{subject}: K8sGPT reports a problem"
    words = ranked[0][0].removeprefix(f"{subject} ")
    more = f" (and {len(ranked) - 1} more)" if len(ranked) > 1 else ""
    joint = " " if words.startswith(_VERBS) else ": "
    head = f"{subject}{joint}"
    room = max(_LEAST_CHARACTERS, TITLE_CHARACTERS - len(head) - len(more))
    return f"{head}{_shortened(words, room)}{more}"


def _words(error: str) -> tuple[str, int]:
    """What one error says, and the row that said it: earlier rows tell more."""
    text = " ".join(error[:2000].split()).removeprefix("(combined from similar events): ")
    for rank, (pattern, words) in enumerate(_TEXTS):
        if found := pattern.search(text):
            return (words if isinstance(words, str) else words(found)), rank
    first_line = next((line.strip() for line in error.splitlines() if line.strip()), "")
    return first_line, len(_TEXTS)


def _shortened(text: str, room: int) -> str:
    if len(text) <= room:
        return text
    cut = text[: room - 1]
    at_word = cut.rpartition(" ")[0]
    # One long word is cut where it has to be.
    return f"{(at_word if len(at_word) > room // 2 else cut).rstrip(' ,;:')}…"


def _says(template: str) -> Callable[[re.Match[str]], str]:
    return lambda found: template.format(**{k: v or "" for k, v in found.groupdict().items()})


def _ended(found: re.Match[str]) -> str:
    reason = found["reason"]
    how = _ENDINGS.get(reason, f"ended with {reason}")
    code = found["code"]
    return f"container {found['container']} {how}" + (f" (exit code {code})" if code else "")


def _image_of(found: re.Match[str]) -> str:
    return f"cannot pull image {pulled_image(found.string)}".rstrip()


def _unschedulable(found: re.Match[str]) -> str:
    reasons = found["reasons"].rstrip(". ")
    return f"cannot be scheduled on any of {found['nodes']} nodes: {reasons}"


def _available(found: re.Match[str]) -> str:
    have, want = found["have"], found["want"]
    return (
        f"has no replica available (wants {want})"
        if have == "0"
        else f"has {have} of {want} replicas available"
    )


def _ready(found: re.Match[str]) -> str:
    return f"is ready on {found['have']} of {found['want']} nodes"


def _node(found: re.Match[str]) -> str:
    kind, reason = found["type"], found["reason"]
    if kind == "Ready":
        return f"is not ready ({reason})"
    return f"has {kind} ({reason})"


# The words that follow the subject as a sentence; all others follow a colon.
_VERBS = (
    "has ",
    "is ",
    "uses ",
    "cannot ",
    "does ",
    "allows ",
    "fails ",
    "scales ",
    "references ",
    "was ",
    "gives ",
    "needs ",
    "ran ",
)

# Causes before symptoms: where several errors were reported, the earlier row is the title.
_TEXTS: tuple[tuple[re.Pattern[str], _Words], ...] = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (
            r"termination reason is (?P<reason>\S*)(?: exitCode=(?P<code>-?\d+))? container=(?P<container>\S+)",
            _ended,
        ),
        (
            r"restarting failed container[= ](?P<container>[^\s,]+)",
            _says("container {container} keeps crashing"),
        ),
        (
            r"pull(?:ing)? (?:and unpack )?image|pull access denied|failed to resolve reference"
            r"|manifest for |initializing source docker://|reading manifest \S+ in ",
            _image_of,
        ),
        (
            r'Container image "(?P<image>[^"]+)" is not present with pull policy of Never',
            _says("image {image} is not on the node and may not be pulled"),
        ),
        (
            r'(?P<what>configmap|secret) "(?P<name>[^"]+)" not found',
            _says("needs {what} {name}, which does not exist"),
        ),
        (
            r'storageclass\.storage\.k8s\.io "(?P<name>[^"]+)" not found',
            _says("needs StorageClass {name}, which does not exist"),
        ),
        (
            r'failed calling webhook "(?P<name>[^"]+)"',
            _says("admission webhook {name} cannot be asked"),
        ),
        (
            r"exceeded quota: (?P<quota>[^\s,]+)",
            _says("cannot create pods: quota {quota} is exceeded"),
        ),
        (
            r"(?P<probe>Readiness|Liveness|Startup) probe (?:failed|errored): (?P<why>.+)",
            _says("{probe} probe fails: {why}"),
        ),
        (
            r"\d+/(?P<nodes>\d+) nodes are available: (?P<reasons>.*?)(?: preemption: |$)",
            _unschedulable,
        ),
        (r"unmounted volumes=\[(?P<volumes>[^\]]*)\]", _says("cannot mount volumes {volumes}")),
        (
            r"low on resource: (?P<resource>[\w-]+)",
            _says("was evicted: its node ran out of {resource}"),
        ),
        (r"^Pod \S+ has been evicted$", "was evicted"),
        (r"is in a SchedulingGated state", "is held back by its scheduling gates"),
        (
            r"^StatefulSet uses the (?P<what>service|storage class) (?P<name>\S+) which does not exist",
            _says("uses {what} {name}, which does not exist"),
        ),
        (r"^Statefulset pod (?P<pod>\S+) in the namespace", _says("pod {pod} is not running")),
        (
            r"references non-existent ImagePullSecret (?P<name>\S+)",
            _says("references image pull secret {name}, which does not exist"),
        ),
        (r"^Service has no endpoints", "has no endpoints"),
        (r"^Service has not ready endpoints", "has endpoints that are not ready"),
        (r"^Service \S+ has event (?P<event>.+)", _says("{event}")),
        (
            r"^Ingress uses the (?P<what>ingress class|service) (?P<name>\S+) which does not exist",
            _says("uses {what} {name}, which does not exist"),
        ),
        (
            r"^Ingress uses the secret (?P<name>\S+) as a TLS certificate which does not exist",
            _says("uses TLS secret {name}, which does not exist"),
        ),
        (r"^Ingress \S+ does not specify an Ingress class", "does not name an ingress class"),
        (
            r"^Deployment \S+ has (?P<want>\d+) replicas (?:in spec )?but .*?(?P<have>\d+) (?:are|replicas are) available",
            _available,
        ),
        (
            r"Progressing=False, reason ProgressDeadlineExceeded",
            "does not finish its rollout in time",
        ),
        (
            r"^DaemonSet \S+ has (?P<have>\d+) ready replicas out of (?P<want>\d+)",
            _ready,
        ),
        (
            r"^(?:Job \S+ has failed$|Job has reached the specified backoff limit)",
            "has failed",
        ),
        (r"^(?:Cron)?Job \S+ is suspended$", "is suspended"),
        (
            r"^CronJob \S+ has an invalid schedule: (?P<why>.+)",
            _says("has an invalid schedule: {why}"),
        ),
        (r"^CronJob \S+ has a negative starting deadline", "has a negative starting deadline"),
        (
            r"^OLMv1 \S+ \S+ has condition of type (?P<type>[^,]+), reason (?P<reason>[^:]+)",
            _says("has condition {type} ({reason})"),
        ),
        (r"^\S+ has condition of type (?P<type>[^,]+), reason (?P<reason>[^:]+)", _node),
        (
            r"^Service (?P<service>\S+) not found as mapped to by",
            _says("needs Service {service}, which does not exist"),
        ),
        (
            r"^No active pods found within service (?P<service>\S+) as mapped to by",
            _says("Service {service} behind it has no running pod"),
        ),
        (
            r"Webhook \(.+?\) is pointing to an inactive receiver pod \((?P<pod>[^)]*)\)",
            _says("pod {pod} behind it is not running"),
        ),
        (r"^ConfigMap \S+ is not used by any pods", "is not used by any pod"),
        (r"^ConfigMap \S+ is empty", "is empty"),
        (r"^ConfigMap \S+ is larger than 1MB", "is larger than 1 MB"),
        (
            r"uses (?P<target>\S+) as ScaleTargetRef which does not exist",
            _says("scales {target}, which does not exist"),
        ),
        (
            r"uses (?P<target>\S+) as ScaleTargetRef which is not an option",
            _says("scales {target}, which cannot be scaled"),
        ),
        (
            r"^(?P<kind>\S+) \S*/(?P<name>\S+) does not have resource configured",
            _says("{kind} {name} has no resource requests to scale by"),
        ),
        (
            r"^(?P<reason>\S+), expected pdb pod label ",
            _says("does not allow a disruption ({reason})"),
        ),
        (r"^Network policy allows traffic to all pods", "allows traffic to all pods"),
        (r"^Network policy is not applied to any pods", "is not applied to any pod"),
        (
            r"^GatewayClass '.*' is not accepted\. Message: '(?P<why>.*)'",
            _says("is not accepted: {why}"),
        ),
        (
            r"^(?:Gateway|HTTPRoute) uses the (?P<what>\S+) '?(?P<name>[^'\s]+)'? which does not exist",
            _says("uses {what} {name}, which does not exist"),
        ),
        (
            r"^Gateway '.*' has condition (?P<type>[^=]+)=(?P<status>[^,]+), reason (?P<reason>[^:]+)",
            _says("has condition {type}={status} ({reason})"),
        ),
        (
            r"^Deployment \S+ has condition (?P<type>[^=]+)=(?P<status>[^,]+), reason (?P<reason>[^:]+)",
            _says("has condition {type}={status} ({reason})"),
        ),
        (
            r"is deployed in a different namespace from Gateway '(?P<name>[^']+)'",
            _says("is in another namespace than Gateway {name} allows"),
        ),
        (
            r"can't be attached on Gateway '(?P<name>[^']+)'",
            _says("cannot be attached to Gateway {name}: its labels do not match"),
        ),
        (
            r"backend service '(?P<name>[^']+)' is using port '(?P<port>\d+)'",
            _says("uses port {port} of Service {name}, which has no such port"),
        ),
        (
            r"uses deprecated provisioner '(?P<name>[^']+)'",
            _says("uses deprecated provisioner {name}"),
        ),
        (
            r"^Multiple default StorageClasses found \((?P<count>\d+)\)",
            _says("is one of {count} default StorageClasses"),
        ),
        (
            r"^PersistentVolume(?:Claim)? \S+ is in (?P<phase>\w+) state",
            _says("is in state {phase}"),
        ),
        (
            r"^PersistentVolume(?:Claim)? \S+ has small capacity \((?P<size>[^)]*)\)",
            _says("has a small capacity ({size})"),
        ),
        (
            r"^PersistentVolumeClaim \S+ has no StorageClass specified",
            "does not name a StorageClass",
        ),
        (
            r"^Default service account is being used by pods",
            "is the default account and is used by pods",
        ),
        (
            r"^RoleBinding \S+ references Role (?P<role>\S+) which contains wildcard",
            _says("gives wildcard permissions (Role {role})"),
        ),
        (
            r"^Container (?P<container>\S+) in pod \S+ is running as privileged",
            _says("container {container} is privileged"),
        ),
        (r"^Pod \S+ does not have a security context", "has no security context"),
        (r'^phase="(?P<phase>[^"]*)": (?P<why>.+)', _says("is in phase {phase}: {why}")),
        (r'^phase="(?P<phase>[^"]*)"', _says("is in phase {phase}")),
        (r'^state="(?P<state>[^"]*)": (?P<why>.+)', _says("is in state {state}: {why}")),
        (
            r"^connectionState=(?P<state>\S+) \(address=(?P<address>[^)]*)\)",
            _says("has connection state {state} ({address})"),
        ),
        (
            r"^(?P<count>\d+) OperatorGroups in namespace",
            _says("has {count} OperatorGroups in its namespace, where one is allowed"),
        ),
        (
            r"^policy failure: (?P<policy>.+?) \(message: (?P<why>.*)\)",
            _says("fails policy {policy}: {why}"),
        ),
        (
            r"^critical Vulnerability found ID: (?P<id>\S+)",
            _says("has the critical vulnerability {id}"),
        ),
        (
            r"^error validating Prometheus YAML configuration: (?P<why>.+)",
            _says("has an invalid Prometheus configuration: {why}"),
        ),
        (r"^no scrape configurations", "has no scrape configurations"),
        (r"^job_name: (?P<job>\S+) relabel_configs:", _says("relabelling of scrape job {job}")),
    )
)
