"""Bodies of requests: JSON and forms that say one thing, or are refused."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute

from fusion.serve.limits import BAD_REQUEST, shortened


class StrictRequest(Request):
    """A request whose JSON names no field twice; of two the later would win without a word."""

    async def json(self) -> Any:
        """The body as plain values.

        Raises:
            JSONDecodeError: no JSON.
            HTTPException: another reason to refuse it, in one sentence.
        """
        if not hasattr(self, "_json"):
            encoding = self.headers.get("content-encoding", "identity")
            if encoding.strip().lower() not in ("", "identity"):
                raise _refused(
                    f"the body is compressed ({shortened(encoding)}); expected plain JSON"
                )
            self._json = read_json_body(await self.body())
        return self._json


class StrictRoute(APIRoute):
    """An address whose requests are `StrictRequest`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Handler that reads a request strictly."""
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            return await handle(StrictRequest(request.scope, request.receive))

        return handle_strictly


def read_json_body(content: bytes) -> Any:
    """Read JSON.

    Raises:
        JSONDecodeError: no JSON.
        HTTPException: a field that is named twice, no UTF-8, nested too deeply, too many digits.
    """
    try:
        return json.loads(content, object_pairs_hook=_without_repeats)
    except (json.JSONDecodeError, HTTPException):
        raise
    except UnicodeDecodeError as error:
        raise _refused(f"the body is not UTF-8 at byte {error.start + 1}") from None
    except RecursionError:
        raise _refused("the body is nested too deeply") from None
    except ValueError:
        raise _refused("a number in the body has too many digits") from None


def check_form(given: Sequence[str], fields: Sequence[str]) -> None:
    """Refuse a form with a field that is unknown, or given twice.

    Args:
        given: names of the fields, in order.
        fields: that are known.

    Raises:
        HTTPException: it is, in one sentence.
    """
    for name, n in Counter(given).items():
        if name not in fields:
            known = ", ".join(fields)
            raise _refused(f"unknown field {shortened(name)}; expected some of {known}")
        if n > 1:
            raise _refused(f"{n} fields {name}; expected one")


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        name = next(name for name, n in Counter(name for name, _ in pairs).items() if n > 1)
        raise _refused(f"{shortened(name)} is given twice; expected once")
    return values


def _refused(message: str) -> HTTPException:
    return HTTPException(BAD_REQUEST, message)
