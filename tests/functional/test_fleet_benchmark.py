"""The fleet's benchmark runs and says what it must; how fast is not for a test to say."""

import json
import subprocess
import sys

from tests.functional.fleet import CHECKOUT

KEYS = {"answers_per_second", "p50_ms", "p99_ms", "ingest_per_second", "bytes_per_answer"}

SERVED = {f"postgres {whom}" for whom in ("itself", "for worker", "for maintenance", "for ingest", "for api")}


def test_every_figure_is_there() -> None:
    words = ["--json", "--parts=throughput,latency,fairness,ingest", "--seconds=2", "--rate=2000", "--pool=500"]

    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.fleet", *words],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found.keys() >= KEYS
    assert all(found[key] > 0 for key in KEYS)
    assert found["accuracy"] > 0.5
    assert found["fairness"]["batches"] == found["fairness"]["sent"] > 0
    assert all(run["refused"] == 0 for run in found["runs"])
    assert found["runs"][0]["claims"] > 0
    assert {"naive_ratio", "naive_plumbing_ratio", "preloaded_ratio", "rss_growth"} <= found.keys()
    assert found["flower"]["online"] == found["flower"]["workers"] > 0
    assert found["flower"]["events"] > 0
    assert found["storage"]["hot_updates"]["consensus"] > 0.5
    assert found["runs"][0]["microseconds"].keys() >= SERVED
