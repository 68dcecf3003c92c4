"""AEGIS Sink: the receiver behind K8sGPT's webhook."""

from importlib.metadata import version

__version__ = version("aegis-sink")
