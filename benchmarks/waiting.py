"""How long `Prefer: wait` takes from a POST to its grades, against a stack that runs (`make up`).

So many clients post batches one after another, each as soon as the grades of the one before are there, to challenges
that are answered again and again.

    python -m benchmarks.waiting [--clients 1 10 50] [--seconds 20] [--answers 10] [--json]
"""

import argparse
import asyncio
import json
import random
import sys
import time
import uuid
from statistics import quantiles

import httpx

from cli.client import connect
from config.settings import load

CHALLENGES = 200
RESPONDENTS = 50
WAIT = 10


def body(answers: int) -> dict[str, object]:
    """A batch of one respondent."""
    respondent = f"respondent {random.randrange(RESPONDENTS)}"
    asked = random.sample(range(CHALLENGES), answers)
    return {
        "answers": [
            {"challenge": f"{number}", "respondent": respondent, "answer": "ab"[number % 2]} for number in asked
        ]
    }


async def post(http: httpx.AsyncClient, path: str, answers: int, until: float) -> list[tuple[int, float]]:
    """Status and seconds of each POST of one client."""
    found = []
    while time.perf_counter() < until:
        began = time.perf_counter()
        reply = await http.post(path, json=body(answers), headers={"Prefer": f"wait={WAIT}"})
        found.append((reply.status_code, time.perf_counter() - began))
    return found


async def measure(url: str, key: str, project: str, clients: int, seconds: float, answers: int) -> dict[str, object]:
    """All clients at once."""
    headers = {"Authorization": f"Bearer {key}"}
    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(base_url=f"{url}/v1", headers=headers, timeout=60, limits=limits) as http:
        path = f"/projects/{project}/batches"
        await post(http, path, answers, time.perf_counter() + 2)
        until = time.perf_counter() + seconds
        replies = await asyncio.gather(*(post(http, path, answers, until) for _ in range(clients)))
    found = [each for reply in replies for each in reply]
    cuts = quantiles([took for _, took in found], n=100)
    return {
        "clients": clients,
        "batches": len(found),
        "in_time": sum(status == 200 for status, _ in found) / len(found),
        "batches_per_s": round(len(found) / seconds, 1),
        "p50_ms": round(cuts[49] * 1000, 1),
        "p90_ms": round(cuts[89] * 1000, 1),
        "p99_ms": round(cuts[98] * 1000, 1),
    }


def main() -> None:
    """Measure and print; the last line is JSON when asked for."""
    parser = argparse.ArgumentParser(description="How long `Prefer: wait` takes.")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 10, 50])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--answers", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    settings = load()
    project = f"waiting-{uuid.uuid4().hex[:8]}"
    with connect(settings) as client:
        client.post("projects", {"name": project, "classes": ["a", "b"], "repeats": "all"})
    key = settings.api_key.get_secret_value() if settings.api_key else (settings.home / "api-key").read_text().strip()
    results = []
    for clients in options.clients:
        results.append(asyncio.run(measure(settings.api_url, key, project, clients, options.seconds, options.answers)))
        print(results[-1], file=sys.stderr)
    if options.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
