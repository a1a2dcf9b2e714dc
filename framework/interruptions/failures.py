"""What is known about the error that ends a run: of another rank, of a worker, or its own."""

from __future__ import annotations

import re
from collections.abc import Mapping

WORKER = re.compile(
    r"DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\) (?:is killed by signal: (\w+))?"
)
COLLECTIVE = re.compile(
    r"gloo/|NCCL|monitoredBarrier|[Cc]onnection (?:closed|reset|refused) by peer|Broken pipe"
)
TIMEOUT = re.compile(r"Timed out waiting (\d+)ms|Timeout\(ms\)=(\d+)")


def of_worker(error: BaseException | None) -> str:
    """Returns a sentence on a worker of a data loader that died, "" if this is another error."""
    while error is not None:
        if isinstance(error, RuntimeError) and (found := WORKER.search(str(error))):
            how = f"was killed ({found[2]})" if found[2] else "died"
            return (
                f"A data loader worker (process {found[1]}) {how}; where memory is short, use a "
                "smaller --data.num_workers."
            )
        error = error.__cause__ or error.__context__
    return ""


def is_collective(error: BaseException) -> bool:
    """Whether an error only says that other ranks could not be reached, or did not answer."""
    return isinstance(error, RuntimeError) and COLLECTIVE.search(str(error)) is not None


def of_ranks(
    error: BaseException,
    rank: int,
    world: int,
    answers: Mapping[int, str] | None,
    fates: Mapping[int, str],
    patience: float,
) -> str:
    """Returns a sentence that names the ranks which made a collective fail.

    Args:
        error: That of the collective.
        rank: This rank.
        world: How many ranks there are.
        answers: What each rank said that still answers, None if the store is gone.
        fates: How ranks ended of which that is known.
        patience: Seconds for which answers were waited for.
    """
    if answers is None:
        return "Rank 0, which hosts the store of the group, is gone" + _after(error)
    lost = sorted(set(range(world)) - answers.keys() - {rank})
    known = [f"rank {k} {fates[k]}" for k in lost if k in fates]
    silent = [str(k) for k in lost if k not in fates]
    if silent:
        names, whose = f"ranks {', '.join(silent)} do", "their machines are"
        if len(silent) == 1:
            names, whose = f"rank {silent[0]} does", "its machine is"
        known.append(f"{names} not answer within {patience:g} s: killed, hung, or {whose} gone")
    if not known:
        known = [f"rank {k} failed: {said}" for k, said in sorted(answers.items()) if said]
    if not known:
        known = ["all ranks answer, but they wait for each other at different places"]
    text = ", ".join(known)
    return text[0].upper() + text[1:] + _after(error)


def _after(error: BaseException) -> str:
    found = TIMEOUT.search(str(error))
    waited = int(found[1] or found[2]) / 1000 if found else None
    return f" (after {waited:g} s, trainer.strategy.timeout)" if waited is not None else ""
