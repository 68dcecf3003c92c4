"""What of a model's prose may be shown: sentence by sentence, by words alone.

A sentence is lost when it holds a command, a link, a mention, an order or advice, or a name or
number which stands nowhere in the case. A sentence too few is better than an invented one: the
playbooks' answer is complete without it.
"""

import re
import unicodedata

from aegis_sink.diagnosis.cleaning import clean

_COMMAND = re.compile(
    r"\b(?:kubectl|kubeadm|helm|docker|podman|crictl|nerdctl|ctr|sudo|curl|wget|bash|systemctl|"
    r"eksctl|gcloud|chmod|chown|ssh|oc|terraform|ansible\w*|argocd|flux|istioctl|etcdctl|psql|"
    r"mysql|mongosh|redis-cli|nsenter|iptables|pg_ctl|az|npm|pip3?|apt(?:-get)?|yum|rm\s+-)\b"
    r"(?![.:/]\w)|\b(?:sh|mv|dd|python3?|k)\s+\w|`|\$\(|\$\{|&&|\|\||(?:^|\s)--?[a-z][a-z-]+[= ]",
    re.IGNORECASE,
)
_LINK = re.compile(
    r"[a-z][a-z0-9+.-]*://|\bwww\.|\]\(|\b(?:mailto|javascript|data|tel|file):|\S@\S+\.\w|&\w{2,4};"
    r"|\bdot\s+(?:com|net|org|io|dev)\b",
    re.IGNORECASE,
)
_MENTION = re.compile(r"<[!@#]|<https?|@\s?(?:here|channel|everyone)\b", re.IGNORECASE)
_DESTRUCTIVE = (
    r"(?:delet|remov|drain|cordon|taint|evict|wip|purg|run|execut|appl|disabl|uninstall|grant|"
    r"scal|patch|reboot|destroy|truncat|flush|format)"
)
_ORDER = re.compile(
    # An imperative: the answer asks for no advice, and fixes are the program's.
    r"^(?:please\s+|then\s+|just\s+|first,?\s+|try\s+to\s+)?(?:add|apply|ask|call|change|click|"
    r"configure|consider|contact|cordon|create|decrease|delete|disable|disregard|downgrade|drain|"
    r"drop|edit|enable|ensure|evict|exec|execute|fix|flush|force|give|grant|ignore|increase|"
    r"install|kill|lower|make|modify|open|patch|purge|raise|reboot|recreate|redeploy|reduce|remove|"
    r"replace|reset|restart|roll\s?back|rotate|run|scale|set|shut|start|stop|switch|taint|tell|"
    r"terminate|truncate|try|turn|uninstall|update|upgrade|use|visit|wipe|write)\b(?!\s+(?:of|is|was)\b)|"
    r"\b(?:should|must|need to|have to|has to|please|recommend\w*|to fix this|fix is|solution|remedy|"
    r"helps? to|way to|try|one could|you (?:can|could|may|might)|operators?)\b.{0,40}\b"
    + _DESTRUCTIVE
    + r"|\b(?:previous|above|prior) instructions\b|"
    r"\b(?:delet|reboot|restart|drain|wip|destroy|remov)\w*\b.{0,40}\b(?:helps|fixes|solves|resolves|would help)\b|"
    r"\bhelps? to\b|"
    r"\bdelet\w+ (?:the |this |all )?(?:namespace|cluster|node|volume|pvc|deployment|pod|project)",
    re.IGNORECASE,
)
_NOTHING_HELPS = re.compile(r"^\w+ing nothing\b", re.IGNORECASE)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_EVIDENCE_ID = re.compile(r"\bE\d+\b")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/:=-]*[A-Za-z0-9])?")
_WORD = re.compile(r"[^\W\d_](?:[\w'’-]*\w)?")
_QUOTED = re.compile(r"[\"“'‘]([^\"”'’]{2,80})[\"”'’]")

_KIND = (
    r"(?:namespace|secret|config ?map|service account|serviceaccount|deployment|statefulset|"
    r"daemonset|replicaset|service|node|image|user|role|host|pod|container|volume|claim|cronjob|"
    r"job|database|table|topic|queue|registry|repository|ingress|gateway|server)"
)
_AFTER_KIND = re.compile(
    rf"\b{_KIND}s?\s+(?:named |called )?([a-z][a-z0-9-]*)(?=\s+([a-z]+))?", re.IGNORECASE
)
_NAMED = re.compile(r"\b(?:named|called)\s+([a-z][a-z0-9-]*)", re.IGNORECASE)

_FOLLOWS_A_KIND = frozenset(
    """
    is are was were be been being has have had does did do can cannot could may might must should will
    would in on at of for to from with without and or but that which who whose where when while because
    since so as if than then not no by behind after before during into onto over under its it itself also
    only still again alone already therefore thus there here now never always often both all any each this
    these those the a an up down out off itself
    fails failed failing restarts restarted restarting crashes crashed crashing exits exited ends ended
    starts started starting runs ran running needs needed uses used using tries tried gets got asks asked
    waits waited waiting lacks lacked refuses refused refusing answers answered exists exist existed
    exceeds exceeded requests requested reports reported says said shows shown returns returned listens
    connects keeps kept hits hit reaches reached terminates terminated remains becomes became stays stayed
    accepts accepted rejects rejected denies denied allows allowed matches matched points pointed sends
    sent expects expected holds held takes took wants wanted writes wrote reads read lives lived belongs
    names depends depended sees died dies hangs stopped stops repeatedly continuously immediately
    name names image images log logs limit limits probe probes port ports spec status state event events
    memory cpu disk process processes runtime account accounts class classes selector controller pod pods
    container containers template templates node nodes pressure request requests resource resources
    version versions tag tags registry pull policy policies server servers key keys value values field
    label labels type types group schema connection connections configuration config data file files
    volume volumes mount mounts claim claims quota quotas error errors output definition manifest
    condition conditions affinity scheduler kubelet address host hosts endpoint endpoints backend
    """.split()  # noqa: SIM905 - words read better as text
)

_PLAIN = frozenset(
    """
    e.g i.e and/or out-of-memory read-only non-zero non-root non-existent start-up back-off time-out
    set-up cluster-wide well-known up-to-date long-running high-level low-level crash-loop
    crash-looping re-created pre-existing per-pod per-node one-time first-time k8s kubernetes so-called
    self-signed in-memory end-to-end key/value multi-arch container-level pod-level node-level
    application-level
    """.split()  # noqa: SIM905 - words read better as text
)

_CAPITAL = frozenset(
    """
    kubernetes kubelet api pod pods container containers deployment deployments service services node
    nodes secret secrets configmap configmaps namespace ingress job jobs cronjob statefulset daemonset
    replicaset persistentvolumeclaim linux java jvm python go json yaml http https dns tls cpu oom
    crashloopbackoff imagepullbackoff oomkilled i
    """.split()  # noqa: SIM905 - words read better as text
)


def sentences(text: str, known: str, ids: set[str]) -> tuple[str, int]:
    """(what may be shown, how many sentences may not). `known` is all text of the case, in lower
    case; `ids` are the ids of its evidence."""
    kept, dropped = [], 0
    # Full-width letters and look-alike dots are read as what a person takes them for.
    for sentence in _SENTENCE.split(unicodedata.normalize("NFKC", clean(text)).strip()):
        if not sentence.strip():
            continue
        if _may_be_shown(sentence.strip(), known, ids):
            kept.append(" ".join(sentence.split()))
        else:
            dropped += 1
    return " ".join(kept), dropped


def _may_be_shown(sentence: str, known: str, ids: set[str]) -> bool:
    if any(forbidden.search(sentence) for forbidden in (_COMMAND, _LINK, _MENTION)):
        return False
    if _ORDER.search(sentence) and not _NOTHING_HELPS.match(sentence):
        return False
    if any(found not in ids for found in _EVIDENCE_ID.findall(sentence)):
        return False
    if any(" ".join(q.split()).lower() not in known for q in _QUOTED.findall(sentence)):
        return False
    return all(_stands_in(word, known) for word in _names(sentence) if word not in ids)


def _names(sentence: str) -> list[str]:
    """The words that name something: with a digit or a joint inside, of another script, with a
    capital in the middle of the sentence, or after the word for a kind of object."""
    found = [
        word
        for word in _NAME.findall(sentence)
        if re.search(r"[0-9._/:=-]", word) and not _is_plain(word)
    ]
    words = _WORD.findall(sentence)
    found += [w for w in words if not w.isascii() and not set(w) <= _TYPOGRAPHY]
    found += [w for w in words[1:] if w[0].isupper() and not w.isupper() and not _is_common(w)]
    for pattern in (_AFTER_KIND, _NAMED):
        found += [m[1] for m in pattern.finditer(sentence) if m[1].lower() not in _FOLLOWS_A_KIND]
    return found


_TYPOGRAPHY = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789’-_")


def _is_plain(word: str) -> bool:
    lowered = word.lower()
    return lowered in _PLAIN or lowered.rstrip("s") in _PLAIN


def _is_common(word: str) -> bool:
    return word.lower() in _CAPITAL


def _stands_in(word: str, known: str) -> bool:
    lowered = word.lower()
    return re.search(rf"(?<![a-z0-9]){re.escape(lowered)}(?![a-z0-9])", known) is not None
