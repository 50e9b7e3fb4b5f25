"""The operator's resources in the description of the API: each with examples of what it answers."""

import pytest

from hookline._web.api import (
    api_keys,
    audit,
    configuration,
    description,
    expunge,
    operational,
    usage,
)

ROUTERS = (api_keys, audit, configuration, expunge, operational, usage)


@pytest.mark.parametrize("module", ROUTERS, ids=lambda module: module.__name__.rpartition(".")[2])
def test_every_answer_has_an_example(module):
    """Every status with a body, and the examples have the fields of their models."""
    document = description.describe(module.router.routes, "")
    for item in document["paths"].values():
        for operation in item.values():
            assert operation["description"]
            for status, answer in operation["responses"].items():
                for content in answer.get("content", {}).values():
                    assert "example" in content, (operation["operationId"], status)
                    if int(status) < 400:
                        _fits(content["example"], content["schema"], document)


def _fits(example, schema, document):
    """Check that an example has no other names than its model, and all that are required."""
    if "$ref" not in schema:
        return
    model = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    assert set(example) <= set(model["properties"])
    assert set(model.get("required", ())) <= set(example)
