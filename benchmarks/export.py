"""What it takes to export a million verdicts, or grades: seconds, and the memory of the API and of the command line.

An embedded PostgreSQL is filled by SQL; `touchstone serve` and `touchstone export` run as processes of their own. Each
format is asked for over HTTP by a client that throws the bytes away, then by the command line into a file whose rows
are counted. Peaks are those of resident memory (Linux's VmHWM), the API's since the export before; `rest` is what the
API held before the first.

    python -m benchmarks.export [--rows 1000000] [--classes 4] [--what verdicts|grades] [--json]
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
from alembic import command
from pyarrow import parquet
from sqlalchemy import text

from api.formats import FORMATS, Format
from api.schemas.project import ProjectCreation
from cli.stack.ports import free_port
from cli.stack.postgres import embedded_postgres
from cli.stack.valkey import embedded_valkey
from config.environment import inherited
from config.settings import load
from db import keys, projects, tenants
from db.engine import make_engine
from migrations.configuration import configuration

PROJECT = "bench"
FILL = """
WITH made AS (
    INSERT INTO challenges (project_id, key)
    SELECT :project, 'images/2026/' || md5(n::text) || '.png' FROM generate_series(1, :rows) n
    RETURNING id, project_id
)
INSERT INTO consensus (challenge_id, project_id, answers, answer, confidence, posterior, status, version)
SELECT id, project_id, 5, id % :classes, 1 - u, array_fill(u / (:classes - 1), ARRAY[:classes]), 'settled', 1
FROM (SELECT id, project_id, random() * 0.5 AS u FROM made) drawn
"""
FILL_GRADES = (
    "INSERT INTO respondents (project_id, key) SELECT :project, 'respondent ' || n FROM generate_series(0, 9999) n",
    """
INSERT INTO batches (uid, project_id, answers, lane, state, idempotency_key, digest, reply)
SELECT gen_random_uuid(), :project, 100, 'live', 'graded', n, '', '' FROM generate_series(1, :rows / 100) n
""",
    """
INSERT INTO sheets (batch_id, accepted_at, first, challenge_ids, respondent_ids, choices, grades)
SELECT b.id, now(), 0, array_agg(1 + (b.id * 7919 + n * 104729) % :rows), array_agg(1 + (b.id + n * 101) % 10000),
       array_agg((n % :classes)::smallint), array_agg(random()::real)
FROM batches b, generate_series(0, 99) n GROUP BY b.id
""",
)
"""Batches of 100 answers, to challenges and by respondents from all over."""


@contextmanager
def served(home: Path, rows: int, classes: int, what: str) -> Iterator[tuple[int, dict[str, str]]]:
    """An API process over a filled database: its process id, and the environment of its clients."""
    with ExitStack() as stack:
        postgres = stack.enter_context(embedded_postgres(home / "postgres"))
        valkey = stack.enter_context(embedded_valkey(home / "valkey"))
        url = load(home=home, database_url=postgres.url, redis_url=valkey.url).require_database_url()
        command.upgrade(configuration(url), "head")
        port = free_port()
        environment = inherited(
            DATABASE_URL=postgres.url,
            REDIS_URL=valkey.url,
            TOUCHSTONE_HOME=str(home),
            TOUCHSTONE_API_URL=f"http://127.0.0.1:{port}",
            TOUCHSTONE_API_KEY=fill(url, rows, classes, what),
        )
        arguments = [sys.executable, "-m", "cli.main", "serve", f"--port={port}"]
        with subprocess.Popen(arguments, env=environment, stderr=subprocess.DEVNULL) as api:
            try:
                wait_for(f"http://127.0.0.1:{port}/readyz", api)
                yield api.pid, environment
            finally:
                api.terminate()


def fill(url: str, rows: int, classes: int, what: str) -> str:
    """Make a project with so many verdicts, and as many grades if these are wanted, and a key that may read them."""
    engine = make_engine(url, pool_size=1, name="benchmark")
    with engine.begin() as connection:
        tenant = tenants.create(connection, PROJECT)
        new = ProjectCreation(name=PROJECT, classes=[f"class {code}" for code in range(classes)]).new()
        projects.create(connection, tenant.id, new)
        project = projects.get(connection, tenant.id, PROJECT)
        for statement in (FILL, *(FILL_GRADES if what == "grades" else ())):
            connection.execute(text(statement), {"project": project.id, "rows": rows, "classes": classes})
        _, key = keys.create(connection, tenant.id, PROJECT, ["read"])
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
    engine.dispose()
    return key


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Until the API is ready."""
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(url, trust_env=False).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise RuntimeError("the API does not start")


def peak_mb(pid: int) -> float:
    """The most resident memory of a process since the last time."""
    peak = resident_mb(pid)
    (Path("/proc") / str(pid) / "clear_refs").write_text("5")
    return peak


def resident_mb(pid: int) -> float:
    """The most resident memory of a process; 0 when it has ended."""
    found = re.search(r"VmHWM:\s+(\d+) kB", (Path("/proc") / str(pid) / "status").read_text())
    return round(int(found[1]) / 1024, 1) if found else 0.0


def over_http(form: Format, environment: dict[str, str], what: str) -> tuple[int, float]:
    """Export to nowhere: bytes and seconds."""
    headers = {"Authorization": f"Bearer {environment['TOUCHSTONE_API_KEY']}", "Accept": form.media_type}
    url = f"{environment['TOUCHSTONE_API_URL']}/v1/projects/{PROJECT}/{what}"
    began, size = time.perf_counter(), 0
    with httpx.stream("GET", url, headers=headers, trust_env=False, timeout=120) as response:
        response.raise_for_status()
        for chunk in response.iter_raw():
            size += len(chunk)
    return size, time.perf_counter() - began


def by_command(form: Format, environment: dict[str, str], what: str, out: Path) -> tuple[float, float]:
    """Export to a file by the command line: seconds, and its peak in MB."""
    arguments = [sys.executable, "-m", "cli.main", "export", f"--project={PROJECT}", f"--what={what}"]
    began = time.perf_counter()
    peak = 0.0
    with subprocess.Popen([*arguments, f"--format={form.extension}", f"--out={out}"], env=environment) as process:
        while process.poll() is None:
            peak = max(peak, resident_mb(process.pid))
            time.sleep(0.02)
    if process.returncode:
        raise RuntimeError(f"the export as {form.extension} ended with {process.returncode}")
    return time.perf_counter() - began, peak


def rows_of(form: Format, out: Path) -> int:
    """Rows of an exported file."""
    if form.extension == "parquet":
        return int(parquet.read_metadata(out).num_rows)
    with out.open("rb") as file:
        return sum(1 for _ in file) - (form.extension == "csv")


def measure(rows: int, classes: int, what: str) -> dict[str, object]:
    """Every format over HTTP and by the command line."""
    results: dict[str, object] = {"what": what, "rows": rows, "classes": classes}
    with tempfile.TemporaryDirectory(prefix="touchstone-") as directory:
        home = Path(directory)
        with served(home, rows, classes, what) as (api, environment):
            results["rest_mb"] = peak_mb(api)
            for form in FORMATS:
                size, seconds = over_http(form, environment, what)
                peak = peak_mb(api)
                out = home / f"{what}.{form.extension}"
                command_seconds, command_peak = by_command(form, environment, what, out)
                found = rows_of(form, out)
                if found != rows:
                    raise RuntimeError(f"{found} of {rows} rows came as {form.extension}")
                results[form.extension] = {
                    "mb": round(size / 2**20, 1),
                    "api_s": round(seconds, 1),
                    "api_peak_mb": peak,
                    "cli_s": round(command_seconds, 1),
                    "cli_peak_mb": command_peak,
                    "api_peak_mb_of_cli": peak_mb(api),
                }
                print(f"{form.extension:8} {results[form.extension]}", file=sys.stderr)
                out.unlink()
    return results


def main() -> None:
    """Measure and print; the last line is JSON when asked for."""
    parser = argparse.ArgumentParser(description="What it takes to export verdicts or grades.")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--classes", type=int, default=4)
    parser.add_argument("--what", choices=("verdicts", "grades"), default="verdicts")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = measure(options.rows, options.classes, options.what)
    if options.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
