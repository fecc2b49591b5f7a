"""How the OpenAPI document describes taking batches in, which FastAPI does not serve and so cannot describe."""

from collections.abc import Mapping
from typing import Any

import msgspec

from api.ingest import Reply
from api.problems import Fault
from api.schemas.graded import Graded
from api.schemas.problem import problems
from db.bodies import JSON, NDJSON, AnswerBody, BatchBody
from db.models.batch import LANES

_REFERENCE = "#/components/schemas/{name}"
_EXAMPLE = {"answers": [{"challenge": "img-17", "respondent": "ada", "answer": "cat", "duration_ms": 1800}]}


def schemas() -> Mapping[str, Any]:
    """The schemas the operation refers to."""
    _, components = msgspec.json.schema_components((AnswerBody, BatchBody, Fault, Reply), ref_template=_REFERENCE)
    graded = Graded.model_json_schema(ref_template=_REFERENCE.format(name="{model}"), mode="serialization")
    return {**components, **graded.pop("$defs"), "Graded": graded}


def operation(max_answers: int, max_body_bytes: int) -> Mapping[str, Any]:
    """The operation itself."""
    header = {"schema": {"type": "string"}}
    return {
        "tags": ["batches"],
        "summary": "Post Batch",
        "operationId": "post_batch",
        "description": (
            "Take answers in to be graded. The reply comes when they are safe in Postgres.\n\n"
            f"At most {max_answers:,} answers and {max_body_bytes:,} bytes once inflated. A wrong answer is named by"
            " its JSON pointer, in NDJSON by its line counted from 0; nothing of the batch is stored then, unless"
            " `partial` is true. A repeated POST with the same key, body and options gets the first one's reply."
        ),
        "security": [{"key": []}],
        "parameters": [
            {"name": "project", "in": "path", "required": True, "schema": {"type": "string"}},
            {
                "name": "lane",
                "in": "query",
                "description": "live, or bulk for whole files: the one does not queue behind the other.",
                "schema": {"type": "string", "enum": list(LANES), "default": LANES[0]},
            },
            {
                "name": "partial",
                "in": "query",
                "description": "Store the good answers and list the rejected ones.",
                "schema": {"type": "boolean", "default": False},
            },
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "The server makes one when there is none, and gives it back.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
            },
            {
                "name": "Prefer",
                "in": "header",
                "description": (
                    "`wait=N` (RFC 7240): 200 with grades and scores if they are ready within N seconds, else 202."
                    " Needs the scope `read`."
                ),
                "schema": {"type": "string", "example": "wait=2"},
            },
            {
                "name": "Content-Encoding",
                "in": "header",
                "schema": {"type": "string", "enum": ["identity", "gzip"]},
            },
        ],
        "requestBody": {
            "required": True,
            "content": {
                JSON: {"schema": {"$ref": _REFERENCE.format(name="BatchBody")}, "example": _EXAMPLE},
                NDJSON: {"schema": {"$ref": _REFERENCE.format(name="AnswerBody")}},
            },
        },
        "responses": {
            "200": {
                "description": "Accepted and graded already; only with `Prefer: wait=N`.",
                "headers": {"Location": header, "Idempotency-Key": header, "Preference-Applied": header},
                "content": {JSON: {"schema": {"$ref": _REFERENCE.format(name="Graded")}}},
            },
            "202": {
                "description": "Accepted: safe in Postgres, to be graded.",
                "headers": {"Location": header, "Idempotency-Key": header},
                "content": {JSON: {"schema": {"$ref": _REFERENCE.format(name="Reply")}}},
            },
            **{str(status): response for status, response in problems(404, 408, 409, 413, 415, 429).items()},
        },
    }
