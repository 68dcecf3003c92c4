"""What the unit tests of the notifiers share."""

from datetime import datetime

import pytest

from aegis_sink.model import Incident
from tests.fakes.notify_incidents import NOW, make_diagnosed, make_found


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def found() -> Incident:
    return make_found()


@pytest.fixture
def diagnosed() -> Incident:
    return make_diagnosed()
