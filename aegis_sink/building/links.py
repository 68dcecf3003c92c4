"""Addresses of what the service shows, for its answers and its messages."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Links:
    """`public_url` is AEGIS_PUBLIC_URL or ""; `listening` tells the address it listens on, or ""."""

    public_url: str
    listening: Callable[[], str]

    def incident(self, incident_id: str) -> str:
        """For who asked this service: on the address it listens on when nobody named a public one."""
        base = (self.public_url or self.listening()).rstrip("/")
        return f"{base}/v1/incidents/{incident_id}"

    def told(self, incident_id: str) -> str:
        """For a message, which is read elsewhere: "" without a public address."""
        return self.incident(incident_id) if self.public_url else ""

    def silence(self, incident_id: str) -> str:
        """For a message: what a silence of this incident would hide; "" without a public address."""
        base = self.public_url.rstrip("/")
        return f"{base}/v1/silences/preview?incident={incident_id}" if base else ""
