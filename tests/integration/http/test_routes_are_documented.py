"""The routes of the service are the routes of the OpenAPI document."""

from typing import Any

from starlette.routing import Route

from aegis_sink.intake.front import PATH
from aegis_sink.web.openapi import document


async def test_the_service_has_the_routes_of_the_document_and_no_others(served: Any) -> None:
    routes = {
        (method, route.path.replace(":path", ""))
        for route in served.service.app.others.routes
        if isinstance(route, Route)
        for method in (route.methods or {"POST"}) - {"HEAD"}
    }
    routes |= {("POST", PATH), ("POST", f"{PATH}/{{token}}")}
    assert routes == {
        (method.upper(), path) for path, item in document()["paths"].items() for method in item
    }
