"""Requests made from the server's own OpenAPI description: no internal error, and answers as they are described."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.generation import GenerationMode

import robotkit as rk
from servers import ServerSettings
from tests.serving import served

load_all_checks()
_CONFORMS = CHECKS.get_by_names(
    [
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
    ]
)
_CASES = settings(
    max_examples=20, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck), deadline=None
)


@pytest.fixture(scope="module")
def operations() -> Iterator[list[Any]]:
    """Every operation of a server that any client commands at any time."""
    with (
        pytest.MonkeyPatch.context() as patch,
        served(rk.make_workcell("fake"), ServerSettings(lease_timeout_s=1e-6)) as url,
    ):
        patch.setenv("no_proxy", ",".join(filter(None, (os.environ.get("no_proxy"), "127.0.0.1"))))
        with httpx.Client(base_url=url, trust_env=False, timeout=60.0) as client:
            schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
        schema.config.update(base_url=url)
        yield [found.ok() for found in schema.get_all_operations()]


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_f5_described_requests_are_answered_as_described(operations: list[Any], mode: GenerationMode) -> None:
    seen: Counter[int] = Counter()
    for operation in operations:

        @_CASES
        @given(case=operation.as_strategy(generation_mode=mode))
        def answers(case: Any) -> None:
            response = case.call()
            assert response.status_code != 500, response.text
            if response.status_code >= 400:
                assert response.json().keys() == {"code", "message"}
            case.validate_response(response, checks=_CONFORMS)
            seen[response.status_code] += 1

        with suppress(Unsatisfiable):  # to a request without parameters nothing wrong can be said
            answers()
    assert len(operations) > 45
    assert sum(seen.values()) > 200, seen
    assert mode.is_positive or set(seen) <= {404, 422}, seen
