"""RFC 9457 problem documents, the one form of an error on `/v1`."""

import json
from http import HTTPStatus

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
        json.dumps(document, ensure_ascii=False),
        status,
        headers,
        media_type="application/problem+json",
    )
