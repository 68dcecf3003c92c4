"""The OpenAPI document against the running service: what one says, the other does."""

import json
import re
import urllib.request
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from jsonschema import Draft202012Validator
from schemathesis.specs.openapi.checks import positive_data_acceptance

from aegis_sink.dialects.table import schemas
from aegis_sink.web.openapi import document


def get(url: str) -> Any:
    """A JSON document."""
    with urllib.request.urlopen(url) as answer:  # noqa: S310 — our own server
        return json.loads(answer.read())


@pytest.fixture(scope="module")
def api(running: Any) -> Any:
    """The document as the service serves it."""
    return schemathesis.openapi.from_url(f"{running.url}/openapi.json")


# K8sGPT's title and matchers have a grammar, and a cursor is a word only a list can give out.
MORE_THAN_A_SCHEMA_SAYS = {
    "/v1/findings": [positive_data_acceptance],
    "/v1/incidents": [positive_data_acceptance],
    "/v1/silences": [positive_data_acceptance],
    "/v1/incidents/{id}/silence": [positive_data_acceptance],
    "/v1/silences/preview": [positive_data_acceptance],
}
OPERATIONS = [(method, path) for path, item in document()["paths"].items() for method in item]


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_operation_answers_as_documented(api: Any, method: str, path: str) -> None:
    @settings(
        max_examples=15,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=api[path][method].as_strategy())
    def holds(case: Any) -> None:
        case.call_and_validate(excluded_checks=MORE_THAN_A_SCHEMA_SAYS.get(path, []))

    holds()


def test_the_document_is_valid_openapi(api: Any) -> None:
    api.validate()
    assert api.raw_schema["openapi"].startswith("3.1")


def test_each_dialect_s_schema_is_linked_served_and_valid(running: Any, api: Any) -> None:
    components = api.raw_schema["components"]["schemas"]
    for name, wanted in schemas().items():
        served = get(running.url + components[f"dialect_{name}"]["externalDocs"]["url"])
        assert served == wanted
        Draft202012Validator.check_schema(served)


def test_every_reference_in_the_document_leads_somewhere(api: Any) -> None:
    for pointer in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(api.raw_schema)):
        where = api.raw_schema
        for step in pointer.split("/"):
            where = where[step]
        assert where
