"""What a long export takes of an API process: as much memory as a short one."""

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from sqlalchemy import Engine, text

from api.formats import FORMATS, Format
from cli.stack.child import Child
from cli.stack.ports import free_port
from tests.integration.api.callers import make_key
from tests.integration.cli.conftest import Processes
from tests.waiting import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a process's peak is read from /proc")

ROWS = 50_000
MEBIBYTE = 2**20
BOUND = 48 * MEBIBYTE
"""Half of the keys alone; an export that kept its rows would take them twice, as rows and as what is sent."""

FILL = """
WITH made AS (
    INSERT INTO challenges (project_id, key)
    SELECT p.id, string_agg(md5(n::text || i), '')
    FROM projects p, generate_series(1, :rows) n, generate_series(1, 64) i
    WHERE p.name = :project GROUP BY p.id, n
    RETURNING id, project_id
)
INSERT INTO consensus (challenge_id, project_id, answers, answer, confidence, posterior)
SELECT id, project_id, 1, 0, 0.75, '{0.75, 0.25}' FROM made
"""


@pytest.fixture
def api(processes: Processes) -> Iterator[tuple[Child, str]]:
    """An API process of its own, and its URL."""
    port = free_port()
    child = processes.start("exporting", "serve", f"--port={port}")
    url = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        try:
            return httpx.get(f"{url}/readyz", trust_env=False).is_success
        except httpx.TransportError:
            return False

    try:
        until(ready, "the API is ready")
        yield child, f"{url}/v1"
    finally:
        child.stop()


def export(client: httpx.Client, project: str, form: Format) -> int:
    """The bytes of a whole export, read slowly enough to be piled up if anybody piles them."""
    with client.stream("GET", f"/projects/{project}/verdicts", headers={"Accept": form.media_type}) as response:
        assert response.is_success
        return sum(len(chunk) for chunk in response.iter_raw(4096))


def peak(child: Child) -> int:
    lines = dict(line.split(":", 1) for line in (Path("/proc") / str(child.pid) / "status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) * 1024


def test_an_export_takes_no_memory_by_its_length(api: tuple[Child, str], engine: Engine) -> None:
    child, url = api
    _, secret = make_key(engine, "acme")
    with httpx.Client(
        base_url=url, headers={"Authorization": f"Bearer {secret}"}, timeout=60, trust_env=False
    ) as client:
        for project, rows in (("short", 100), ("long", ROWS)):
            assert client.post("/projects", json={"name": project, "classes": ["a", "b"]}).status_code == 201
            with engine.begin() as connection:
                connection.execute(text(FILL), {"rows": rows, "project": project})
        for form in FORMATS:
            export(client, "short", form)  # loads what the format needs
            (Path("/proc") / str(child.pid) / "clear_refs").write_text("5")
            rest = psutil.Process(child.pid).memory_info().rss
            size = export(client, "long", form)
            grown = peak(child) - rest
            assert size > ROWS * 512, form
            assert grown < BOUND, (form.extension, grown / MEBIBYTE)
