"""One fit shared by several processes: each holds the answers to some items, and all hold what is known of annotators.

Items are dealt out in whole logical blocks. An iteration exchanges the expected counts, one reduction, and the sums of
each block. Posteriors are on a grid on which sums of counts are exact (see :mod:`consensus.statistics`), and sums of
blocks are added in the order of the blocks: every number of ranks gives the bits of a single process.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, distributed, multiprocessing

from consensus.answers import Answers
from consensus.layout import block_height

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process's place among those that fit together; by default it is alone.

    Several exchange through the default group of torch.distributed: gloo on the CPU, nccl on CUDA.
    """

    rank: int = 0
    size: int = 1

    @classmethod
    def joined(cls) -> "Ranks":
        """The place in the process group that exists, as after torchrun and `init_process_group`."""
        return cls(distributed.get_rank(), distributed.get_world_size())

    def span(self, I: int, K: int, rank: int | None = None) -> slice:
        """The items of a rank, this one by default."""
        rank = self.rank if rank is None else rank
        height = block_height(K)
        blocks = -(-I // height)
        return slice(min(blocks * rank // self.size * height, I), min(blocks * (rank + 1) // self.size * height, I))

    def share(self, answers: Answers) -> Answers:
        """This rank's part, items numbered from 0. Answers to other items may be there or not."""
        if self.size == 1:
            return answers
        span = self.span(answers.I, answers.K)
        mine = (answers.item >= span.start) & (answers.item < span.stop)
        return Answers(
            answers.item[mine] - span.start,
            answers.annotator[mine],
            answers.label[mine],
            span.stop - span.start,
            answers.J,
            answers.K,
            None if answers.gold is None else answers.gold[span],
            answers.history,
        )

    def total(self, counts: Tensor) -> Tensor:
        """Expected counts, added up over the ranks in place; exact, so that their order does not matter."""
        if self.size > 1:
            distributed.all_reduce(counts)
        return counts

    def gather(self, own: Tensor, I: int, K: int, *, blocks: bool = False) -> Tensor:
        """The rows of all ranks in order: one for each item, or for each logical block."""
        if self.size == 1:
            return own
        height = block_height(K) if blocks else 1
        whole = own.new_empty(-(-I // height), *own.shape[1:])
        for rank in range(self.size):
            span = self.span(I, K, rank)
            rows = whole[span.start // height : -(-span.stop // height)]
            if rank == self.rank:
                rows.copy_(own)
            if rows.numel():
                distributed.broadcast(rows, rank)
        return whole


ALONE = Ranks()


def launch(size: int, work: Callable[[Ranks], T], *, threads: int = 1) -> T:
    """Run `work` in `size` new processes on this machine, on the CPU, and return what the first of them returns.

    `work` and its result are pickled; so is any error, which is raised here.
    """
    with tempfile.TemporaryDirectory(prefix="touchstone-ranks-") as directory:
        multiprocessing.spawn(_enter, args=(size, work, directory, threads), nprocs=size)
        return torch.load(Path(directory, "result"), weights_only=False)


def _enter(rank: int, size: int, work: Callable[[Ranks], object], directory: str, threads: int) -> None:
    torch.set_num_threads(threads)
    distributed.init_process_group("gloo", init_method=f"file://{directory}/meeting", rank=rank, world_size=size)
    try:
        result = work(Ranks.joined())
        if rank == 0:
            torch.save(result, Path(directory, "result"))
        distributed.barrier()
    finally:
        distributed.destroy_process_group()
