"""The consensus engine beside its peers: accuracy, live grading, speed, ranks.

python -m benchmarks.consensus [accuracy|live|speed|distributed ...] --data DIR [--json] [--quick]
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.status import Status
from rich.table import Table

from benchmarks.consensus import accuracy, distributed, live, speed
from benchmarks.consensus.datasets import read
from benchmarks.consensus.environment import peers_python
from consensus import registry

PARTS = ("accuracy", "live", "speed", "distributed")
DEFAULT = "touchstone"
UNDECIDED = ("hitspam_cf",)  # every published method ends at the same 66 % there: it tells nothing apart
LARGEST_QUICK = 6000  # answers


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.consensus", description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"any of {', '.join(PARTS)}; all by default")
    parser.add_argument("--data", type=Path, help="folder with datasets.json, for accuracy and live")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON on the last line")
    parser.add_argument("--quick", action="store_true", help="small sets and sizes, one round, one peer")
    parser.add_argument("--model", default=DEFAULT)
    parser.add_argument("--rounds", type=int, default=3, help="alternating rounds of speed below 10^7 answers")
    parser.add_argument("--without", nargs="*", default=UNDECIDED, metavar="SET", help="sets left out of the means")
    parser.add_argument("--no-peers", action="store_true", help="accuracy of ours alone")
    parser.add_argument("--cache", type=Path, default=Path(".touchstone/bench-peers"), help="the peers' environment")
    found = parser.parse_args()
    found.parts = found.parts or list(PARTS)
    for part in found.parts:
        if part not in PARTS:
            parser.error(f"{part}: there are {', '.join(PARTS)}")
    if found.data is None and {"accuracy", "live"} & set(found.parts):
        parser.error("--data: accuracy and live need a folder of data sets")
    return found


def main() -> None:
    chosen = options()
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="touchstone-bench-") as temporary, console.status("starting") as status:
        found = measure(chosen, Path(temporary), console, status)
    if chosen.json:
        print(json.dumps(found))
    else:
        console.print_json(json.dumps(found))


def measure(chosen: argparse.Namespace, directory: Path, console: Console, status: Status) -> dict[str, Any]:
    """The figures of each part, by its name."""
    found: dict[str, Any] = {}
    needs_peers = "speed" in chosen.parts or ("accuracy" in chosen.parts and not chosen.no_peers)
    status.update("the peers' environment")
    python = peers_python(chosen.cache.absolute()) if needs_peers else None
    sets = {}
    if chosen.data is not None:
        status.update("reading the data sets")
        arrays = [each for each in read(chosen.data) if not chosen.quick or len(each.item) <= LARGEST_QUICK]
        sets = {each.name: each.save(directory / "sets") for each in arrays}
    for part in chosen.parts:

        def say(text: str, part: str = part) -> None:
            status.update(f"{part}: {text}")

        if part == "accuracy":
            peers = None if chosen.no_peers else python
            found[part], rows = accuracy.run(sets, chosen.model, peers, set(chosen.without), chosen.quick, say)
            table = Table(*rows[0])
            for row in rows[1:]:
                table.add_row(*row)
            console.print(table)
        elif part == "live":
            found[part] = live.run(sets, registry.get(chosen.model), chosen.quick, say)
        elif part == "speed":
            assert python is not None
            found[part] = speed.run(directory, python, chosen.rounds, chosen.quick, say)
        else:
            found[part] = distributed.run(directory, chosen.quick, say)
        console.print(f"[bold]{part}[/bold]", {k: v for k, v in found[part].items() if k not in {"datasets", "peers"}})
    return found


if __name__ == "__main__":
    sys.exit(main())
