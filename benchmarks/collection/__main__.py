"""Answers that the stop rule saves, and whether its bound holds.

python -m benchmarks.collection --data DIR [--json] [--quick] [--plot FILE]
"""

import argparse
import json
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.collection import crowds, plot, sets
from benchmarks.consensus.datasets import read
from consensus import registry

QUICK_CROWDS = 10
QUICK_LARGEST = 6000  # answers
UNDECIDED = ("hitspam_cf",)  # every method ends at the same 66 % there, whatever it buys


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.collection", description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with datasets.json")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON on the last line")
    parser.add_argument("--quick", action="store_true", help="small sets, one order, few settings and crowds")
    parser.add_argument("--model", default="touchstone", choices=sorted(registry.MODELS))
    parser.add_argument("--orders", type=int, default=3, help="random orders of each set")
    parser.add_argument("--crowds", type=int, default=200, help="simulated crowds of either kind")
    parser.add_argument("--without", nargs="*", default=UNDECIDED, metavar="SET", help="sets that are left out")
    parser.add_argument("--plot", type=Path, help="write the trade-off curves to this SVG file")
    return parser.parse_args()


def main() -> None:
    chosen = options()
    console = Console(stderr=True)
    arrays = [each for each in sets.suitable(read(chosen.data)) if each.name not in chosen.without]
    orders = 1 if chosen.quick else chosen.orders
    found: dict[str, Any] = {}
    curves: dict[str, sets.Curves] = {}
    with _processes() as pool, Progress(console=console) as progress:
        wanted = [each for each in arrays if not chosen.quick or len(each.item) <= QUICK_LARGEST]
        wanted.sort(key=lambda each: -len(each.item))  # the longest first: the last to end is short
        bar = progress.add_task("sets", total=len(wanted))
        replayed = {each.name: pool.submit(sets.run, each, chosen.model, orders, chosen.quick) for each in wanted}
        crowd_figures = crowds.run(pool, chosen.model, QUICK_CROWDS if chosen.quick else chosen.crowds)
        for name in sorted(replayed):
            found[name], curves[name] = replayed[name].result()
            console.print(name, found[name])
            progress.advance(bar)
        progress.add_task("crowds", total=None)
        simulated = crowd_figures()
        console.print(_crowds(simulated))
    console.print(_saved(found))
    console.print(_bound(found))
    if chosen.plot:
        chosen.plot.write_text(plot.draw(curves))
    names = dict.fromkeys(name for figures in found.values() for name in figures["saved"])
    result = {
        "sets": len(found),
        "answers_saved": {name: _mean(name, found) for name in names},
        "simulated_error_within_target": simulated["clean"]["within_target"],
        "simulated": simulated,
        "datasets": found,
    }
    if chosen.json:
        print(json.dumps(result))
    else:
        console.print_json(json.dumps(result))


def _processes() -> ProcessPoolExecutor:
    """One process for each core, with one thread each."""
    return ProcessPoolExecutor(mp_context=get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,))


def _mean(name: str, found: dict[str, Any]) -> float | None:
    shares = [figures["saved"][name] for figures in found.values() if figures["saved"].get(name) is not None]
    return fmean(shares) if shares else None


def _saved(found: dict[str, Any]) -> Table:
    names = list(dict.fromkeys(name for figures in found.values() for name in figures["saved"]))
    table = Table("set", "answers", *names, title="share of the answers saved at equal error")
    for name, figures in found.items():
        shares = (figures["saved"].get(rival) for rival in names)
        table.add_row(name, f"{figures['answers']:.1f}", *("" if share is None else f"{share:.0%}" for share in shares))
    means = (_mean(rival, found) for rival in names)
    table.add_row("mean", "", *("" if share is None else f"{share:.0%}" for share in means))
    return table


def _bound(found: dict[str, Any]) -> Table:
    columns = ("answers", "settled", "error", "crowd", "expected")
    title = f"at a target of {sets.STATED:.0%}, tempering learned on gold | without"
    table = Table("set", *columns, *columns, title=title)
    for name, figures in found.items():
        cells = []
        for kind in sets.KNOWLEDGE:
            end = figures[kind]
            kinds = ("wrong", "reversed", "expected_wrong")
            errors = [f"{end[kind] / end['settled']:.1%}" if end["settled"] else "" for kind in kinds]
            cells += [f"{end['answers']:.1f}", f"{end['settled']:.0%}", *errors]
        table.add_row(name, *cells)
    return table


def _crowds(simulated: dict[str, Any]) -> Table:
    keys = ("settled", "error", "error_limit", "expected_error", "worst_crowd", "mean_answers", "accuracy")
    table = Table("crowds", *keys, title="simulated crowds")
    for name, figures in simulated.items():
        table.add_row(f"{figures['crowds']} {name}", *(f"{figures[key]:.3f}" for key in keys))
    return table


if __name__ == "__main__":
    sys.exit(main())
