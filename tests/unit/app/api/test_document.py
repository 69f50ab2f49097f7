from __future__ import annotations

import pytest

from app.api.main import create

DOCUMENT = create().openapi()
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_tells_what_it_does_and_each_answer_that_says_no(name):
    operation = OPERATIONS[name]
    summary = operation["summary"]
    assert " " not in summary or summary != summary.title(), "made of the function's name"
    for status, answer in operation["responses"].items():
        assert answer["description"]
        if int(status) >= 400 and name != "GET /healthz":
            content = answer["content"]["application/json"]
            assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
            assert set(content["example"]) == {"error", "remedy"}


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_has_the_answers_of_its_kind(name):
    operation, statuses = OPERATIONS[name], set(OPERATIONS[name]["responses"])
    if "requestBody" in operation:
        assert statuses >= {"400", "413", "422"}
    if not name.startswith("GET"):
        assert "403" in statuses
    if "{" in name:
        assert "404" in statuses
    assert "503" in statuses


@pytest.mark.parametrize("name", [name for name, operation in OPERATIONS.items() if "requestBody" in operation])
def test_every_body_has_examples(name):
    for content in OPERATIONS[name]["requestBody"]["content"].values():
        schemas = str(resolved(content["schema"]))
        assert "examples" in schemas or "binary" in schemas or "octet-stream" in schemas


def resolved(schema):
    references = [each["$ref"] for each in [schema, *schema.get("anyOf", ())] if "$ref" in each]
    return [DOCUMENT["components"]["schemas"][reference.split("/")[-1]] for reference in references]


def test_what_is_never_sent_is_not_described():
    assert not {"HTTPValidationError", "ValidationError"} & set(DOCUMENT["components"]["schemas"])
    assert "HTTPValidationError" not in str(DOCUMENT)
