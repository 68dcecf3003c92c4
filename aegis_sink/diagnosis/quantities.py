"""Kubernetes quantities, read and written as people do: "512Mi", "1500m", "1.5Gi"."""

import re

_SUFFIX = {
    "": 1.0,
    "m": 0.001,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
    "Ti": 2.0**40,
}
_QUANTITY = re.compile(r"^([0-9]+(?:\.[0-9]+)?)(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")


def parse_quantity(text: str) -> float:
    """The number behind a quantity, in its base unit. Raises ValueError."""
    found = _QUANTITY.match(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a quantity such as 512Mi or 250m")
    return float(found[1]) * _SUFFIX[found[2] or ""]


def memory(size: int) -> str:
    """Bytes as Kubernetes writes them: 268435456 → "256Mi"."""
    for unit in ("Ti", "Gi", "Mi", "Ki"):
        scale = int(_SUFFIX[unit])
        if size >= scale and size % scale == 0:
            return f"{size // scale}{unit}"
    for unit in ("Gi", "Mi", "Ki"):
        scale = int(_SUFFIX[unit])
        if size >= 10 * scale:
            return f"{size / scale:.0f}{unit}"
    return str(size)


def cpu(millicores: int) -> str:
    """Millicores as Kubernetes writes them: 2000 → "2", 250 → "250m"."""
    return str(millicores // 1000) if millicores % 1000 == 0 else f"{millicores}m"


def duration(seconds: int) -> str:
    """Seconds as people say them: 95 → "1m35s"."""
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    parts = [(hours, "h"), (minutes, "m"), (seconds, "s")]
    return "".join(f"{n}{unit}" for n, unit in parts if n) or "0s"
