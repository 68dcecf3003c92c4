"""What the unit tests of the notifiers share."""

import asyncio
from datetime import datetime

import pytest

from aegis_sink.model import Incident
from tests.fakes.notify_incidents import NOW, make_diagnosed, make_found

# On Python 3.11 pytest-asyncio 1.5 asks for "the" event loop when a module's first tests are not
# async, which makes one that nobody closes. Setting none tells asyncio not to make it.
asyncio.set_event_loop(None)


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def found() -> Incident:
    return make_found()


@pytest.fixture
def diagnosed() -> Incident:
    return make_diagnosed()
