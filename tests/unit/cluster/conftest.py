"""A fake API server, and the real client on it."""

from collections.abc import AsyncIterator

import pytest

from aegis_sink.cluster.client import KubernetesCluster
from tests.unit.cluster.fake_api import FakeApi, connected, serving


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    fake = FakeApi()
    async with serving(fake):
        yield fake


@pytest.fixture
async def cluster(api: FakeApi) -> AsyncIterator[KubernetesCluster]:
    one = connected(api)
    yield one
    await one.close()
