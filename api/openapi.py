"""The OpenAPI document: FastAPI's, and the operation that FastAPI does not serve."""

from typing import Any

from fastapi import FastAPI

from api import ingest, ingest_operation
from api.schemas.gold import GoldItem
from api.schemas.group import GroupMembers
from api.schemas.problem import Problem
from config.settings import Settings


def describe(app: FastAPI, settings: Settings) -> None:
    """Complete the application's OpenAPI document."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = generate()
            operation = ingest_operation.operation(settings.max_answers, settings.max_body_bytes)
            document["paths"][ingest.PATH]["post"] = operation
            schemas = document["components"]["schemas"]
            schemas.update(ingest_operation.schemas())
            problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(problem.pop("$defs"))
            schemas["Problem"] = problem
            schemas["GoldItem"] = GoldItem.model_json_schema()
            schemas["GroupMembers"] = GroupMembers.model_json_schema()
        return app.openapi_schema or document

    app.openapi = openapi  # type: ignore[method-assign]  # the way FastAPI documents
