"""Kubernetes quantities ("250m", "1.5Gi", "12e6") as whole numbers.

The kubernetes package has a parser, but importing it costs a second at start and it raises on what
a custom resource may hold.
"""

import re
from decimal import Decimal

_QUANTITY = re.compile(r"([+-]?[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]{1,3})?)([A-Za-z]{0,2})")
_SCALE = {
    "": Decimal(1),
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    **{prefix: Decimal(1000) ** n for n, prefix in enumerate("kMGTPE", start=1)},
    **{f"{prefix}i": Decimal(1024) ** n for n, prefix in enumerate("KMGTPE", start=1)},
}


def _value(text: str) -> Decimal | None:
    found = _QUANTITY.fullmatch(text)
    scale = _SCALE.get(found[2]) if found else None
    return Decimal(found[1]) * scale if found and scale is not None else None


def size(text: str) -> int | None:
    """Bytes (or a plain count): "64Mi" → 67108864; None when it is no quantity."""
    value = _value(text)
    return int(value) if value is not None else None


def millicores(text: str) -> int | None:
    """CPU: "250m" → 250, "2" → 2000; None when it is no quantity."""
    value = _value(text)
    return int(value * 1000) if value is not None else None
