"""`/openapi.json` and the JSON Schemas of the dialects it links to."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from aegis_sink.dialects.table import schemas
from aegis_sink.intake.problem import problem
from aegis_sink.web.openapi_document import document


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
