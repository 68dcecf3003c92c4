"""Kubernetes, read-only: client, owner chain, collectors."""
