"""What is read once for all tests here."""

import pytest

from aegis_sink.diagnosis.playbooks import Playbooks


@pytest.fixture(scope="session")
def playbooks() -> Playbooks:
    return Playbooks.load()
