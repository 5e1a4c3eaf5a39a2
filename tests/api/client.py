"""A program with a token, as tests see it."""

import json
from typing import Any

from django.test import Client

from tenants.models import User
from tenants.services.tokens import issue_token

JSON = "application/json"


class Program:
    """Calls the API with a token of `user`, or without any."""

    def __init__(self, user: User | None = None, scopes: tuple[str, ...] = ("*",)) -> None:
        self.http = Client(raise_request_exception=True)
        self.headers = {}
        if user is not None:
            self.headers["Authorization"] = f"Bearer {issue_token(user, 'test', scopes)[1]}"

    def __call__(self, method: str, path: str, body: Any = None, *, key: str | None = None, **extra: Any) -> Any:
        headers = {**self.headers, **({"Idempotency-Key": key} if key else {}), **extra.pop("headers", {})}
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        content_type = extra.pop("content_type", JSON)
        return self.http.generic(method, f"/api/v1/{path}", data, content_type, headers=headers, **extra)

    def upload(self, slug: str, bundle: Any, **fields: Any) -> Any:
        return self.http.post(f"/api/v1/projects/{slug}/revisions/", {"bundle": bundle, **fields}, headers=self.headers)


def error(answer: Any) -> tuple[int, str, str | None]:
    """(status, code, field), after checking that the shape is the promised one."""
    body = answer.json()["error"]
    assert set(body) == {"code", "message", "field", "detail"}
    assert isinstance(body["message"], str)
    assert isinstance(body["detail"], dict)
    return answer.status_code, body["code"], body["field"]
