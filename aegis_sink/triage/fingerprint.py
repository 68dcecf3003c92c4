"""Which problem it is: failure class and fingerprint. docs/fingerprint.md is this page in words.

An error text is first compared with the texts whose wording changes while the problem stays (back-
off against termination, the two texts of a failed pull, the scheduler's counts); what is left is
rewritten token by token: numbers, durations, ids and random ends become placeholders, names stay.
On the hot path: no pattern here can backtrack more than a few characters.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from aegis_sink.model import ObjectRef
from aegis_sink.triage.subject import SAFE, stem

UNKNOWN = "unknown"
CLASS_CHARACTERS = 400
TEXT_CHARACTERS = 4096  # what comes later in one error text tells no causes apart
FINGERPRINT_CHARACTERS = 24
DIGEST_CHARACTERS = len("sha256:") + 12  # as much as people compare
_EPHEMERAL_PORT = 32768  # where Linux starts to choose source ports


def fingerprint(cluster: str, subject: ObjectRef, failure_class: str) -> str:
    """The identity of a problem: 24 hex characters over cluster, subject and failure class.

    Of a pod or Job whose owner is not known the name counts without its random end, so that the
    one that replaces it has the same.
    """
    name = stem(subject)
    parts = (cluster, subject.resource_kind, subject.namespace, name, failure_class)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:FINGERPRINT_CHARACTERS]


def failure_class(kind: str, errors: Sequence[str]) -> str:
    """The error texts of a finding without what changes, sorted, each once; "unknown" for none.

    `kind` is K8sGPT's: it tells which of K8sGPT's own sentences may stand here. At most 400
    characters; what does not fit is represented by a hash.
    """
    resource_kind = kind.rsplit("/", 1)[-1]
    classes = {_remembered(text[:TEXT_CHARACTERS], resource_kind) for text in errors}
    classes.discard("")
    joined = " | ".join(sorted(classes))
    if len(joined) > CLASS_CHARACTERS:
        digest = hashlib.sha256(joined.encode()).hexdigest()[:12]
        return f"{joined[: CLASS_CHARACTERS - 14].rstrip()}… {digest}"
    return joined or UNKNOWN


def normalise(text: str) -> str:
    """One error text without what changes while the problem stays."""
    return _class_of(text[:TEXT_CHARACTERS], ())


def pulled_image(text: str) -> str:
    """The image that the text of a failed pull names, as the kubelet would write it; "" if none.

    containerd writes names out, `docker.io/library/nginx:latest` for `nginx`, and leaves out the
    tag of one with a digest. CRI-O writes `docker://…`, or `reading manifest TAG in NAME`.
    """
    named = _IMAGE.search(text)
    if named is None:
        # The last one: what mirrors answered stands before it.
        named = next(reversed(list(_MANIFEST.finditer(text))), None)
        if named is None:
            return ""
        joint = "@" if _DIGEST.fullmatch(named["tag"]) else ":"
        name = f"{named['name']}{joint}{named['tag']}"
    else:
        name = named["image"] or named["source"] or named["bare"]
    name = name.removeprefix("index.").removeprefix("docker.io/").removeprefix("library/")
    if digest := _DIGEST.search(name):
        before = _TAG.sub("", name[: digest.start()].rstrip("@"))
        return f"{before}@{digest[0][:DIGEST_CHARACTERS]}"
    return name.removesuffix(":latest")


@lru_cache(maxsize=1024)
def _remembered(text: str, resource_kind: str) -> str:
    # K8sGPT says the same again and again, and this is on the way to its answer.
    return _class_of(text, _OF_KIND.get(resource_kind, ()))


_Rewrite = Callable[[re.Match[str]], str]
_Texts = tuple[tuple[str, re.Pattern[str], str | _Rewrite], ...]


def _class_of(text: str, own: _Texts) -> str:
    # What the kubelet puts before an event that it has said often.
    text = text.removeprefix("(combined from similar events): ")
    if "[redacted:" in text:
        text = _REDACTED.sub("[redacted]", text)
    # `marker in text` costs a fraction of a search, and most texts match no row or one.
    for rows in (own, _ANY_KIND):
        for marker, pattern, rewrite in rows:
            if marker in text and (found := pattern.search(text)):
                return rewrite if isinstance(rewrite, str) else rewrite(found)
    return _rewritten(text)


# --- Texts with several wordings of one problem -------------------------------------------------


def _ends(found: re.Match[str]) -> str:
    return f"container {found['container']} ends: {found['reason']}"


def _backs_off(found: re.Match[str]) -> str:
    # The text does not say how the container ended; Error is the common case.
    return f"container {found['container']} ends: Error"


def _pull(found: re.Match[str]) -> str:
    return f"cannot pull image {pulled_image(found.string)}".rstrip()


def _unschedulable(found: re.Match[str]) -> str:
    # "0/3 nodes are available: 1 Insufficient memory, 2 node(s) had untolerated taint {a: b}.
    # preemption: …": the reasons without their counts; nodes that come and go are no reason
    # as long as there is another.
    reasons = set()
    for part in found["reasons"].split(", "):
        reasons.add(_COUNT.sub("", part).strip().rstrip("."))
    reasons.discard("")
    lasting = {r for r in reasons if not any(word in r for word in _PASSING_REASONS)}
    return "unschedulable: " + ", ".join(sorted(_rewritten(r) for r in lasting or reasons))


def _quota(found: re.Match[str]) -> str:
    wanted = sorted(item.partition("=")[0] for item in found["wanted"].split(","))
    return f"exceeded quota {found['quota']}: {', '.join(wanted)}"


def _no_answer(found: re.Match[str]) -> str:
    # A webhook that goes away refuses, has no endpoints and lets callers wait, in turns.
    if _NO_ANSWER.search(found.string, found.end()):
        return f"webhook {found['webhook']} does not answer"
    return _rewritten(found.string)


def _wrong_port(found: re.Match[str]) -> str:
    return f"Service {found['service']} has no port {found['port']}"


def _unmounted(found: re.Match[str]) -> str:
    return f"cannot mount volumes {' '.join(sorted(_rewritten(found['volumes']).split()))}"


def _evicted(found: re.Match[str]) -> str:
    return f"evicted: node low on {found['resource']}"


def _node_condition(found: re.Match[str]) -> str:
    # All conditions turn Unknown together when a kubelet stops, under this one reason.
    if found["reason"] == "NodeStatusUnknown":
        return "node status unknown"
    return f"node {found['type']}, {found['reason']}: {_rewritten(found['message'])}"


_IMAGE = re.compile(
    r"(?:image|reference) \"(?P<image>[^\"\s]{1,500})\""
    r"|docker://(?P<source>[^\s,]{1,500})(?=:\s)"
    r"|(?:manifest|access denied) for (?P<bare>[^\s,]{1,500})"
)
_MANIFEST = re.compile(r"reading manifest (?P<tag>\S{1,200}) in (?P<name>[^\s,]{1,500})(?=:\s)")
_TAG = re.compile(r":[^:/]*$")
_NO_ANSWER = re.compile(
    r"connection refused|connection reset|no endpoints available|deadline exceeded|timeout"
    r"|no route to host|EOF"
)
_REDACTED = re.compile(r"\[redacted:[^\]\s]{1,80}\]")
_DIGEST = re.compile(r"sha(?:256|512):[0-9a-f]{32,128}")
_COUNT = re.compile(r"^\d+ (?:node\(s\) )?")
_PASSING_REASONS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")

_ANY_KIND: _Texts = (
    (
        "termination reason is ",
        re.compile(
            r"termination reason is (?P<reason>\S*)(?: exitCode=-?\d+)? container=(?P<container>\S+)"
        ),
        _ends,
    ),
    (
        "restarting failed container",
        re.compile(r"restarting failed container[= ](?P<container>[^\s,]+)"),
        _backs_off,
    ),
    ("pull", re.compile(r"pull(?:ing)? (?:and unpack )?image|pull access denied"), _pull),
    ("failed to resolve reference", re.compile(r"failed to resolve reference"), _pull),
    ("manifest for ", re.compile(r"manifest for "), _pull),
    ("docker://", re.compile(r"initializing source docker://"), _pull),
    ("reading manifest ", _MANIFEST, _pull),
    (
        "probe ",
        re.compile(r"(?:Readiness|Liveness|Startup) probe (?:failed|errored)"),
        "probe fails",
    ),
    (
        "nodes are available: ",
        re.compile(r"\d+/\d+ nodes are available: (?P<reasons>.*?)(?: preemption: |$)", re.DOTALL),
        _unschedulable,
    ),
    (
        "exceeded quota: ",
        re.compile(r"exceeded quota: (?P<quota>[^\s,]+), requested: (?P<wanted>[^\s]+), used:"),
        _quota,
    ),
    (
        "failed calling webhook ",
        re.compile(r"failed calling webhook \"(?P<webhook>[^\"\s]{1,253})\""),
        _no_answer,
    ),
    ("unmounted volumes=[", re.compile(r"unmounted volumes=\[(?P<volumes>[^\]]*)\]"), _unmounted),
    ("low on resource: ", re.compile(r"low on resource: (?P<resource>[\w-]+)"), _evicted),
)

_OF_KIND: dict[str, _Texts] = {
    "Pod": (
        ("SchedulingGated", re.compile(r"is in a SchedulingGated state"), "scheduling gated"),
        ("has been evicted", re.compile(r"^Pod \S+ has been evicted$"), "evicted"),
    ),
    "Deployment": (
        (
            " replicas ",
            re.compile(r" has \d+ replicas (?:in spec )?but "),
            "rollout is not complete",
        ),
        (
            "ProgressDeadlineExceeded",
            re.compile(r"Progressing=False, reason ProgressDeadlineExceeded"),
            "rollout is not complete",
        ),
    ),
    "StatefulSet": (
        (
            "Statefulset pod ",
            re.compile(r"^Statefulset pod \S+ in the namespace \S+ is not in running state"),
            "pod is not running",
        ),
    ),
    "Service": (
        (
            "not ready endpoints",
            re.compile(r"^Service has not ready endpoints"),
            "Service has not ready endpoints",
        ),
    ),
    "Job": (
        ("has failed", re.compile(r"^Job \S+ has failed$"), "Job failed"),
        ("backoff limit", re.compile(r"specified backoff limit"), "Job failed"),
    ),
    "Node": (
        (
            " has condition of type ",
            re.compile(
                r"has condition of type (?P<type>[^,]+), reason (?P<reason>[^:]*): (?P<message>.*)",
                re.DOTALL,
            ),
            _node_condition,
        ),
    ),
    "HTTPRoute": (
        (
            " is using port ",
            re.compile(r"is using port '(?P<port>\d+)' but .* service '(?P<service>[^']+)'"),
            _wrong_port,
        ),
    ),
    "ServiceAccount": (
        (
            "Default service account",
            re.compile(r"^Default service account is being used by pods"),
            "Default service account is being used by pods",
        ),
    ),
}

# --- All other texts, token by token ------------------------------------------------------------

_IPV4 = r"\d{1,3}(?:\.\d{1,3}){3}"
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_UNIT = r"(?:ns|us|µs|ms|[smhdy]|[kKMGTPE]i?B?|B|bytes|%)"
# Only names and numbers with a digit can hold what changes; they are looked at from their first
# character on, so that no position is looked at more than twice.
_TOKENS = re.compile(
    rf"\b[Pp]ods?[ =/][\"(]?(?!{_UUID})(?P<pod>[a-z][a-z0-9./-]*)"
    r"|(?<![\w.:/@+%-])(?=[^\d\s\"'(){}\[\],;=<>|!?*#&$]{0,253}\d)(?P<token>[\w.:/@+%-]+)"
)
# The volume of a service account's token: its end is new with each pod, and often has no digit.
_TOKEN_VOLUME = re.compile(rf"(?<=kube-api-access)-[{SAFE}]{{5}}\b|(?<=-token)-[{SAFE}]{{5}}\b")
_WHOLE = re.compile(
    rf"(?P<ip>{_IPV4}(?:/\d{{1,2}})?(?::(?P<port>\d{{1,5}}))?"
    r"|(?=[^:]*:[^:]*:)[0-9a-f:]*:[0-9a-f]*[a-f][0-9a-f:]*|[0-9a-f]{0,4}::[0-9a-f:]*)"
    r"|(?P<time>\d{4}-\d\d-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:?\d\d)?)?|\d{4}/\d\d/\d\d"
    r"|\d{1,2}:\d\d:\d\d(?:\.\d+)?Z?|[IWEF]\d{4})"
    # Possessive: a run of digits can be divided in one way only.
    rf"|(?P<number>[-+:]*+(?:\d++(?:[./]\d++)*+{_UNIT}?+)++)"
    rf"|(?P<id>{_UUID}|\+?0x[0-9a-f]+|(?=\D*\d)[0-9a-f]{{8,}}"
    r"|(?=(?:\D*\d){3})(?=\d*\D)[A-Za-z0-9_]{20,})"
)
_INSIDE = re.compile(
    rf"(?P<digest>{_DIGEST.pattern})|(?P<uuid>{_UUID})"
    # The kubelet counts its attempts behind a pod's id.
    r"|(?P<attempt>(?<=[0-9a-f]{12}_)\d+(?!\w))"
    rf"|(?P<ip>(?<!\d){_IPV4}(?!\d)(?::\d{{1,5}})?|(?<=ip-)\d{{1,3}}(?:-\d{{1,3}}){{3}}(?!\d))"
    r"|(?P<end>(?:"
    rf"-(?=[a-z]*\d)[{SAFE}]{{6,10}}-[{SAFE}]{{5}}"
    r"|-(?:2[5-9]|3[0-6])\d{6}"
    rf"|-(?=[a-z]*\d)(?=\d*[a-z])[{SAFE}]{{8,10}}"
    rf"|-(?=[a-z]*\d)(?=\d*[a-z])[{SAFE}]{{5}}"
    r"|-(?=[a-f]*\d)[0-9a-f]{8,64}"
    r")(?![A-Za-z0-9-]))"
)


def _rewritten(text: str) -> str:
    if "-token-" in text or "kube-api-access-" in text:
        text = _TOKEN_VOLUME.sub("", text)
    return " ".join(_TOKENS.sub(_token, text).split())


def _token(found: re.Match[str]) -> str:
    token = found["token"]
    if token is None:
        return found[0][: found.start("pod") - found.start()] + _pod(found["pod"])
    core = token.rstrip(".:/-")
    end = token[len(core) :]
    whole = _WHOLE.fullmatch(core)
    if whole is None:
        if ":" in core and "://" not in core:
            # An image with its tag, or host:port: what follows the colon tells causes apart.
            return _DIGEST.sub("<digest>", core) + end
        return _INSIDE.sub(_inside, core) + end
    if whole["ip"]:
        port = whole["port"]
        return f"<ip>:{port}{end}" if port and int(port) < _EPHEMERAL_PORT else f"<ip>{end}"
    if whole["number"]:
        return f":#{end}" if core[0] == ":" else f"#{end}"
    return f"<time>{end}" if whole["time"] else f"<id>{end}"


def _inside(found: re.Match[str]) -> str:
    match found.lastgroup:
        case "digest":
            return "<digest>"
        case "uuid":
            return "<id>"
        case "attempt":
            return "#"
        case "ip":
            _, colon, port = found[0].partition(":")
            return f"<ip>:{port}" if colon and int(port) < _EPHEMERAL_PORT else "<ip>"
        case _:
            return ""  # a random end: the name without it is what stays


def _pod(name: str) -> str:
    core = name.rstrip("./")
    namespace, slash, pod = core.rpartition("/")
    # "web-7c5ddbdf54-": a name that the API server did not get to complete.
    kind = "ReplicaSet" if pod.endswith("-") else "Pod"
    return f"{namespace}{slash}{stem(ObjectRef(kind, pod.rstrip('-')))}{name[len(core) :]}"
