"""Redaction, playbooks, the model client and the checks on its answer."""
