"""What is gold cannot be learned from the outside.

The attacker holds a key without the scope `gold` and as many respondents as it likes, and submits the same answers to
gold and to challenges that are matched with it. Then it reads everything that every operation of the OpenAPI document
gives. Exchanging gold with its match in all of it must change nothing.
"""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain, product
from typing import Any

import httpx
import pytest
from pyarrow import parquet
from sqlalchemy import Engine

from db import gold as gold_rows
from db import keys, runs, tenants
from tests.functional import books
from tests.functional.conftest import Answer
from tests.functional.fleet import Fleet, client
from tests.functional.test_grading import post
from tests.waiting import until

PAIRS = 4
OPTIONS = ("no", "yes")
UNMET = "gold-that-nobody-answered"
UNKNOWN = "what-nobody-has-heard-of"
KNOWN = {f"g{pair}": OPTIONS[pair % 2] for pair in range(PAIRS)}
PLAIN = {"/livez", "/readyz", "/metrics"}
INCIDENTAL = {"position", "cursor", "at", "id", "next", "idempotency_key", "input_digest"}
"""Where something stands, not what it is; times go with them."""


@pytest.fixture
def attacker(api: httpx.Client, engine: Engine) -> Iterator[httpx.Client]:
    with engine.begin() as connection:
        tenant = tenants.get(connection, "acme")
        _, secret = keys.create(connection, tenant.id, "attacker", ["submit", "read", "admin"])
    with client(str(api.base_url).removesuffix("/v1/"), secret) as made:
        yield made


def probes(established: list[str]) -> list[Answer]:
    """Every option to gold and to its match: by strangers of a single answer each, and by those who are known."""
    strangers = [
        {"challenge": f"{kind}{pair}", "respondent": f"{kind}-{option}-{pair}", "answer": option}
        for kind, pair, option in product("gm", range(PAIRS), OPTIONS)
    ]
    known = [
        {"challenge": f"{kind}{pair}", "respondent": respondent, "answer": OPTIONS[(number // 2 + pair) % 2]}
        for number, respondent in enumerate(established)
        for kind, pair in product("gm", range(PAIRS))
    ]
    return strangers + known


def test_no_field_of_any_reply_tells_gold_from_its_match(
    fleet: Fleet, api: httpx.Client, attacker: httpx.Client, engine: Engine, crowd: list[list[Answer]]
) -> None:
    background = [{"challenge": f"c{number}", "answer": OPTIONS[(number + 1) % 2]} for number in range(0, 20, 3)]
    gold = [*background, *({"challenge": key, "answer": answer} for key, answer in KNOWN.items())]
    api.post("/projects/quiz/gold", json=[*gold, {"challenge": UNMET, "answer": "yes"}]).raise_for_status()
    fleet.worker()
    fleet.worker("refit")
    for batch in crowd:
        post(attacker, batch).raise_for_status()
    until(lambda: books.everything_graded(engine, "quiz"), "a crowd that is known")
    settle(engine)
    refit(attacker)

    post(attacker, probes([f"r{number}" for number in range(6)])).raise_for_status()
    until(lambda: books.everything_graded(engine, "quiz"), "graded probes")
    for path in ("/projects/quiz/gold", "/projects/quiz/gold/g0"):
        assert attacker.get(path).status_code == 403
    unchanged_by_exchange(attacker)
    for stranger in ("g-no-0", "m-yes-1"):
        assert attacker.get(f"/projects/quiz/respondents/{stranger}").json() == {
            "respondent": stranger,
            "skips": 0,
            "answers": 1,
            "accuracy": None,
            "interval": None,
            "confusion": None,
        }

    refit(attacker)
    unchanged_by_exchange(attacker)


def settle(engine: Engine) -> None:
    """Wait until gold is followed and no refit waits or runs."""

    def settled() -> bool:
        with engine.connect() as connection:
            busy = connection.exec_driver_sql("SELECT count(*) FROM model_runs WHERE state IN ('waiting', 'running')")
            return not gold_rows.waiting(connection) and not runs.waiting(connection) and not busy.scalar_one()

    until(settled, "gold that is followed and refitted")


def refit(attacker: httpx.Client) -> None:
    location = attacker.post("/projects/quiz/model-runs").headers["Location"].removeprefix("/v1")
    until(lambda: attacker.get(location).json()["state"] == "done", "a published model run")


def unchanged_by_exchange(attacker: httpx.Client) -> None:
    seen = Counter(chain.from_iterable(map(entries, everything(attacker))))
    assert not any(UNMET in entry for entry in seen)
    assert sum(_PAIRED.search(entry) is not None for entry in seen) >= 4 * PAIRS
    exchanged = Counter(_PAIRED.sub(_other, entry) for entry in seen.elements())
    assert sorted(seen - exchanged) == []


_PAIRED = re.compile(r'"([gm])(?=\d"|-(?:no|yes)-\d")')
"""The key of a challenge or of a stranger of a pair, up to what tells which of the two."""


def _other(found: re.Match[str]) -> str:
    return '"m' if found[1] == "g" else '"g'


def entries(document: Any) -> Iterator[str]:
    """What a reply says, item by item, in one form."""
    items = document["items"] if isinstance(document, dict) and "items" in document else [document]
    for item in items:
        yield json.dumps(plain(item), sort_keys=True)


def plain(value: Any) -> Any:
    """Without what is incidental, and without the last bits."""
    match value:
        case dict():
            return {
                name: plain(inner)
                for name, inner in value.items()
                if name not in INCIDENTAL and not name.endswith("_at")
            }
        case list():
            return [plain(inner) for inner in value]
        case float():
            return round(value, 9)
        case str() if _NUMBER.fullmatch(value):  # of a CSV
            return round(float(value), 9)
    return value


_NUMBER = re.compile(r"\d\.\d+(e-\d+)?")


def everything(attacker: httpx.Client) -> Iterator[Any]:
    """Whatever the operations that read give for whatever there is, page after page."""
    document = attacker.get(str(attacker.base_url).removesuffix("v1/") + "openapi.json").json()
    names = known_names(attacker)
    for path, item in document["paths"].items():
        if "get" not in item or path in PLAIN:
            continue
        parameters = re.findall(r"{(\w+)}", path)
        for values in product(*(names[parameter] for parameter in parameters)):
            url = path.removeprefix("/v1").format(**dict(zip(parameters, values, strict=True)))
            yield from pages(attacker, url)
            for media_type in item["get"]["responses"]["200"].get("content", {}):
                if media_type == "application/x-ndjson":
                    text = attacker.get(url, headers={"Accept": media_type}).text
                    yield {"items": [json.loads(line) for line in text.splitlines()]}
                elif media_type == "text/csv":
                    text = attacker.get(url, headers={"Accept": media_type}).text
                    yield {"items": list(csv.DictReader(io.StringIO(text)))}
                elif media_type == "application/vnd.apache.parquet":
                    content = attacker.get(url, headers={"Accept": media_type}).content
                    yield {"items": parquet.read_table(io.BytesIO(content)).to_pylist()}


def pages(attacker: httpx.Client, url: str) -> Iterator[Any]:
    cursor: str | None = None
    while True:
        reply = attacker.get(url, params={"after": cursor} if cursor else {})
        if UNMET in url:
            unknown = attacker.get(url.replace(UNMET, UNKNOWN))
            assert (reply.status_code, reply.text.replace(UNMET, UNKNOWN)) == (unknown.status_code, unknown.text)
        assert reply.status_code in {200, 403, 404}, (url, reply.text)
        if not reply.is_success:
            assert reply.status_code == 404 or "/gold" in url or "/groups" in url, url
            return
        body = reply.json()
        yield body
        following = body.get("next") if isinstance(body, dict) and body.get("items") else None
        if following is None or following == cursor:
            return
        cursor = following


def known_names(attacker: httpx.Client) -> Mapping[str, list[str]]:
    """What path parameters can be; one that is not here is an operation that this attack has to learn."""

    def listed(what: str, name: str) -> list[str]:
        found = chain.from_iterable(page["items"] for page in pages(attacker, f"/projects/quiz/{what}"))
        return [str(item[name]) for item in found]

    return {
        "project": ["quiz"],
        "challenge": [UNMET, *(f"{kind}{pair}" for kind, pair in product("gm", range(PAIRS)))],
        "respondent": listed("respondents", "respondent"),
        "batch": listed("batches", "id"),
        "run": listed("model-runs", "id"),
        "version": [str(version) for version in range(1, 10)],
    }
