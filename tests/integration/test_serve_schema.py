"""The API of `mirnagraph serve`, fuzzed against its own description."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("schemathesis")

import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from fusion.serve.app import create_app
from fusion.serve.guard import Hosts
from fusion.serve.questions import Question
from fusion.serve.service import open_service

pytestmark = pytest.mark.slow

HOST = {"host": "127.0.0.1"}

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]

N_EXAMPLES = 40
"""Requests per address and kind of request; the whole test takes about a minute."""


@pytest.fixture(scope="module")
def served() -> tuple[Any, str]:
    """Application of the model that ships, and a job that is done."""
    service = open_service("shipped")
    app = create_app(service, Hosts.of("127.0.0.1"))
    job = service.jobs.start(Question(names=("hsa-mir-21", "nonsense")))
    while not job.is_finished:
        time.sleep(0.05)
    return app, job.id


@pytest.fixture(scope="module")
def api(served: tuple[Any, str]) -> Any:
    return schemathesis.openapi.from_asgi("/api/openapi.json", served[0], headers=HOST)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_no_request_breaks_the_description(
    api: Any, served: tuple[Any, str], mode: GenerationMode
) -> None:
    names = []
    for result in api.get_all_operations():
        operation = result.ok()
        names.append(operation.label)

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=N_EXAMPLES,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        def ask(case: Any) -> None:
            if "job" in case.path_parameters and case.method != "DELETE":
                case.path_parameters["job"] = served[1]
            response = case.call(headers=HOST)
            case.validate_response(response, checks=CHECKS)
            assert "x-content-type-options" in response.headers

        # Some operations have no parameter that could be wrong.
        with contextlib.suppress(Unsatisfiable):
            ask()
    assert len(names) == 12
    assert "POST /api/jobs/upload" in names
