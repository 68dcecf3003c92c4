"""One part of the service a module, built from the settings; `service.py` puts them together."""
