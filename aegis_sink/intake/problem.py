"""RFC 9457 problem documents, the one form of an error outside `/webhook`."""

import json
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response


def problem(
    status: int, detail: str, *, headers: dict[str, str] | None = None, **members: object
) -> Response:
    """A problem document: `title` from the status, `detail` for people, more members for code."""
    document = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **members,
    }
    return Response(
        # A body may hold half of a surrogate pair, and `detail` may quote it.
        json.dumps(document, ensure_ascii=False).encode("utf-8", "replace"),
        status,
        headers,
        media_type="application/problem+json",
    )


def refused(request: Request, error: Exception) -> Response:
    """What the router refuses: no such path, or another method."""
    assert isinstance(error, HTTPException)
    details = {404: "there is nothing here; /openapi.json lists all routes", 405: "another method"}
    return problem(
        error.status_code,
        details.get(error.status_code, error.detail),
        headers=dict(error.headers or {}),
    )


def failed(request: Request, error: Exception) -> Response:
    """An error of ours: the log has it whole, the answer has nothing of it."""
    return problem(500, "an error of AEGIS Sink; its log says more")
