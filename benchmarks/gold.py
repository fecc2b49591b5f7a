"""Flags of gold: wrong labels injected into public data, leaks into simulated crowds, and neither.

python -m benchmarks.gold --data DIR [--json] [--seeds N]
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Generator, Tensor

from benchmarks.consensus.datasets import Arrays, read
from consensus import registry
from consensus.answers import Answers
from consensus.form import Form
from consensus.gold import Flags, Gold, flag
from consensus.simulation import simulate

SETS = ("rte", "sp", "product")
GOLD = 0.35
WRONG = 0.05
LEAKED = 0.05
CROWDS = 20


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gold", description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with datasets.json")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON on the last line")
    parser.add_argument("--seeds", type=int, default=5)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    console = Console(stderr=True)
    found: dict[str, Any] = {"wrong": {}, "clean": {}}
    for each in read(chosen.data):
        if each.name in SETS:
            answers, truth = _tensors(each)
            for kind, share in (("wrong", WRONG), ("clean", 0.0)):
                found[kind][each.name] = wrong_labels(answers, truth, share, chosen.seeds)
                console.print(kind, each.name, found[kind][each.name])
    for kind, leaked in (("leak", LEAKED), ("clean", 0.0)):
        figures = leaks(leaked, CROWDS)
        found[kind] = {**found.get(kind, {}), "simulated": figures}
        console.print(kind, "simulated", figures)
    print(json.dumps(found)) if chosen.json else console.print_json(json.dumps(found))


def wrong_labels(answers: Answers, truth: Tensor, share: float, seeds: int) -> dict[str, float | None]:
    """Precision and recall at even odds, and precision among as many of the highest odds as labels were flipped."""
    flagged = hit = injected = top = gold = 0
    for seed in range(seeds):
        random = Generator().manual_seed(seed)
        known = (truth >= 0) & (torch.rand(answers.I, generator=random) < GOLD)
        wrong = known & (torch.rand(answers.I, generator=random) < share)
        other = (truth + torch.randint(1, answers.K, (answers.I,), generator=random)) % answers.K
        odds = judge(answers, torch.where(known, torch.where(wrong, other, truth), -1)).mislabelled
        flagged += int((odds > 0).sum())
        hit += int((odds > 0)[wrong].sum())
        top += int(wrong[odds.masked_fill(~known, -torch.inf).topk(int(wrong.sum())).indices].sum())
        injected += int(wrong.sum())
        gold += int(known.sum())
    return {
        "gold": gold,
        "injected": injected,
        "flagged": flagged,
        "precision": hit / flagged if flagged else None,
        "recall": hit / injected if injected else None,
        "precision_at_injected": top / injected if injected else None,
        "false_alarm_rate": (flagged - hit) / (gold - injected),
    }


def leaks(share: float, crowds: int) -> dict[str, float | None]:
    """`share` of the gold is known to everybody, and a tenth of the respondents know all of it."""
    counts = torch.zeros(6)
    for seed in range(crowds):
        crowd, random = simulate(seed), Generator().manual_seed(seed)
        answers = crowd.answers
        known = torch.rand(answers.I, generator=random) < 0.3
        leaked = known & (torch.rand(answers.I, generator=random) < share)
        holder = torch.rand(answers.J, generator=random) < (0.1 if share else 0)
        told = leaked[answers.item] | (holder[answers.annotator] & known[answers.item])
        label = torch.where(told, crowd.truth[answers.item], answers.label)
        found = judge(replace(answers, label=label), torch.where(known, crowd.truth, -1))
        item, who = found.leaked > 0, found.holders > 0
        counts += torch.tensor(
            [item[leaked].sum(), leaked.sum(), item[~leaked].sum(), who[holder].sum(), holder.sum(), who[~holder].sum()]
        )
    items_hit, items, items_false, who_hit, holders, who_false = counts.tolist()
    return {
        "leaked": items,
        "leaked_recall": items_hit / items if items else None,
        "leaked_precision": items_hit / (items_hit + items_false) if items_hit else None,
        "leaked_false_alarms_per_crowd": items_false / crowds,
        "holders": holders,
        "holders_recall": who_hit / holders if holders else None,
        "holders_precision": who_hit / (who_hit + who_false) if who_hit else None,
        "holders_false_alarms_per_crowd": who_false / crowds,
    }


def judge(answers: Answers, gold: Tensor) -> Flags:
    model = registry.get("touchstone")
    fit = model.fit(replace(answers, gold=gold), form=Form.FULL)
    here = (gold >= 0)[answers.item]
    mine = replace(
        answers, item=answers.item[here], annotator=answers.annotator[here], label=answers.label[here], gold=gold
    )
    return flag(Gold(model, mine, fit.statistics, fit.prior, Form.FULL))


def _tensors(arrays: Arrays) -> tuple[Answers, Tensor]:
    item, annotator, label, truth = map(torch.from_numpy, (arrays.item, arrays.annotator, arrays.label, arrays.truth))
    return Answers(item, annotator, label, *arrays.shape), truth


if __name__ == "__main__":
    main()
