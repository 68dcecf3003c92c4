"""`/openapi.json`, the OpenAPI 3.1 document, and the JSON Schemas of the dialects it links to."""

from functools import cache

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from aegis_sink import __version__
from aegis_sink.dialects.table import schemas
from aegis_sink.intake.problem import problem
from aegis_sink.web.openapi_paths import paths
from aegis_sink.web.openapi_schemas import components
from aegis_sink.web.openapi_words import Json


def schema_routes() -> list[Route]:
    """For Starlette."""
    return [
        Route("/openapi.json", show_document, methods=["GET"]),
        Route("/schemas/{name}.json", show_schema, methods=["GET"]),
    ]


async def show_document(request: Request) -> Response:
    """OpenAPI 3.1."""
    return JSONResponse(document())


async def show_schema(request: Request) -> Response:
    """One dialect's schema."""
    name = request.path_params["name"]
    schema = schemas().get(name)
    if schema is None:
        return problem(404, f"no schema {name[:64]}; there are {', '.join(schemas())}")
    return JSONResponse(schema, media_type="application/schema+json")


@cache
def document() -> Json:
    """OpenAPI 3.1, whole."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "AEGIS Sink",
            "version": __version__,
            "description": "The receiver behind K8sGPT's webhook.",
        },
        "security": [{}, {"bearer": []}],
        "paths": paths(),
        "components": {
            "schemas": components(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "webhookBasic": {"type": "http", "scheme": "basic"},
                "slack": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "x-slack-signature",
                    "description": "Slack's `v0` signature of x-slack-request-timestamp and body.",
                },
                "signature": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "webhook-signature",
                    "description": "Standard Webhooks: webhook-id, webhook-timestamp, "
                    "webhook-signature over the raw body.",
                },
            },
        },
    }
