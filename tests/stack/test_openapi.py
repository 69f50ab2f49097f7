"""Requests that Schemathesis makes up from the OpenAPI document, against the running stack.

Four hundred that are always the same; where there is time two thousand that never are. SCHEMATHESIS_SEED repeats a run.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from pathlib import Path

import pytest

from tests.stack.pictures import PHOTO
from tests.stack.stack import ROOT, run

FEW, MANY = 400, 2000  # requests at least; the coverage phase adds to what is asked for
LONGEST = 420  # seconds; a quiet machine takes about a minute
# What a valid picture is, or which queue exists, no schema can tell: each 415 and 422 would count as a fault.
LEFT_OUT = "positive_data_acceptance"

pytestmark = [pytest.mark.parametrize("stack", ["rabbitmq"], indirect=True), pytest.mark.timeout(600)]


@pytest.fixture
def known_ids(stack):
    """One of each thing that has an id, so that requests get past the lookup."""
    user = stack.api.post("/users", json={"email": f"{secrets.token_hex(4)}@example.org", "name": "Ada"}).json()["id"]
    post = stack.api.post("/posts", json={"user_id": user, "body": "Something to look up."}).json()["id"]
    image = stack.upload(PHOTO).json()
    batch = stack.api.post("/faults/count", json={"count": 1}).json()["batch"]
    ids = {"image_id": image["image_id"], "task_id": image["task_id"], "batch": batch}
    return ids | {"user_id": user, "post_id": post, "before": post, "name": "count"}


@pytest.mark.parametrize("cases", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
def test_requests_get_documented_answers_and_never_a_5xx(stack, known_ids, tmp_path, cases):
    seed = os.environ.get("SCHEMATHESIS_SEED") or ("1" if cases == FEW else str(secrets.randbelow(2**32)))
    print(f"SCHEMATHESIS_SEED={seed}")
    url = stack.url("API_PORT") + "/openapi.json"
    operations = sum(len(methods) for methods in stack.api.get("/openapi.json").json()["paths"].values())
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "run", url, "--seed", seed, "--no-color", "--no-shrink",
        "--phases", "examples,coverage,fuzzing", "--max-examples", str(cases // operations - 8), "--max-failures", "10",
        "--workers", "1", "--request-timeout", "30", "--exclude-checks", LEFT_OUT, "--warnings", "off",
        "--report", "json", "--report-json-path", "report.json",
    ]  # fmt: skip
    environ = stack.environ | {
        "SCHEMATHESIS_HOOKS": "tests.stack.openapi_hooks",
        "PYTHONPATH": str(ROOT),
        "KNOWN_IDS": json.dumps(known_ids),
    }

    result = run(command, timeout=LONGEST, cwd=tmp_path, env=environ)

    assert result.returncode == 0, result.stdout[-20_000:] + result.stderr[-2_000:]
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["operations"]["tested"] == operations
    assert report["test_cases"]["generated"] >= cases, report["test_cases"]
    assert stack.containers()["api"]["RestartCount"] == 0
