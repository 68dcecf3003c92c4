"""What the kill tests' programs are forked with: all modules, and the built-in playbooks, parsed."""

from aegis_sink.commands import serve
from aegis_sink.diagnosis.playbooks import Playbooks

__all__ = ["serve"]

Playbooks.load()
