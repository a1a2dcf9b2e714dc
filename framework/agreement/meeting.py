"""Processes meet at the address of the first one, and compare what they are about to do."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any

from torch._C._distributed_c10d import PrefixStore, Store, TCPStore
from torch.distributed import DistError

from framework.agreement.address import SECONDS, Address, Deadline

Difference = tuple[str, str, str]  # what differs, its value in the first process, its value here
Compare = Callable[[Any, Any], Sequence[Difference]]
SHOWN = 3  # differences in a sentence
LONGEST = 30.0  # seconds for what listens to answer
FAREWELL = 10.0  # seconds in which the others must have read the verdict
AGREED = "agreed"

_meetings = count()  # of this process; the same number in all of them


@dataclass(frozen=True)
class Meeting:
    """Who meets, and where.

    Args:
        address: Where the first process listens.
        rank: Number of this process.
        world: Number of processes.
    """

    address: Address
    rank: int
    world: int

    def store(self, deadline: Deadline) -> Store:
        """Connects to the store of the first process, which torch uses again later.

        Args:
            deadline: How long to try.

        Returns:
            The store. In the first process it ends with the last reference to it.

        Raises:
            ValueError: If nobody, or somebody else, listens at the address.
        """
        store = self._host(deadline) if self.rank == 0 and not _of_agent() else None
        self.address.reach(deadline)
        if store is not None:
            return store
        time = timedelta(seconds=max(1.0, min(LONGEST, deadline.left)))
        place = (self.address.host, self.address.port)
        try:
            return TCPStore(*place, timeout=time, wait_for_workers=False)
        except DistError as error:
            raise ValueError(
                f"Something else than rank 0 listens at {self.address} ({_first_line(error)}); "
                "set both variables alike on all machines."
            ) from error

    def compare(self, store: Store, facts: Any, compare: Compare, deadline: Deadline) -> None:
        """Compares facts with those of the first process; the same verdict is given to all.

        Nothing is exchanged but a few lines through the store that the processes use to connect
        afterwards, so it works before they are connected, and does not hang where they differ.

        Args:
            store: That of `store`; the same for each meeting.
            facts: Plain data.
            compare: Returns the differences of two such.
            deadline: How long to wait for the others.

        Raises:
            ValueError: In all processes, if facts differ, or one is missing.
        """
        # Attempts share a store that torchrun hosts; otherwise each has a new one.
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") if _of_agent() else "0"
        number = next(_meetings)
        shared = PrefixStore(f"overtone/{attempt}/{number}", store)
        try:
            verdict = self._verdict(shared, facts, compare, deadline)
        except DistError as error:
            raise ValueError(
                f"Rank {self.rank} lost {self.address} while ranks compared what they run "
                f"({_first_line(error)}); see why rank 0 ended."
            ) from error
        if verdict != AGREED:
            raise ValueError(verdict)

    def _host(self, deadline: Deadline) -> TCPStore:
        time = timedelta(seconds=deadline.seconds)
        try:
            return TCPStore(
                "localhost",
                self.address.port,
                is_master=True,
                timeout=time,
                wait_for_workers=False,
                multi_tenant=True,  # torch shares it when the processes are connected
            )
        except DistError as error:
            raise ValueError(
                f"Rank 0 cannot listen at port {self.address.port} ({_first_line(error)}); set "
                "MASTER_PORT to a free one."
            ) from error

    def _verdict(self, store: Store, facts: Any, compare: Compare, deadline: Deadline) -> str:
        if self.rank == 0:
            store.set("facts", json.dumps(facts))
            verdict = self._judge(store, deadline)
            store.set("verdict", verdict)
            self._await_readers(store)
            return verdict
        answer = "verdict"
        if _comes(store, "facts", f"rank 0 at {self.address}", deadline):
            found = compare(json.loads(store.get("facts")), json.loads(json.dumps(facts)))
            store.set(str(self.rank), json.dumps(found))
            patience = Deadline(deadline.seconds + FAREWELL)  # that of the first process, and more
            if _comes(store, answer, "the other ranks", patience):
                verdict = store.get(answer).decode()
                store.add("readers", 1)
                return verdict
        return (
            f"Rank 0 was reached at {self.address}, but did not answer within "
            f"{deadline.seconds:g} s; see what it does, or wait longer with {SECONDS}.{_advice()}"
        )

    def _judge(self, store: Store, deadline: Deadline) -> str:
        """Collects the differences of all ranks in the first one."""
        found: dict[int, Sequence[Difference]] = {}
        for rank in range(1, self.world):
            if _comes(store, str(rank), f"rank {rank} at {self.address}", deadline):
                found[rank] = json.loads(store.get(str(rank)))
        missing = sorted(set(range(1, self.world)) - set(found))
        if missing:
            return (
                f"{_ranks(missing)} of {self.world} did not come to {self.address} within "
                f"{deadline.seconds:g} s; see why, give every machine its own NODE_RANK, or wait "
                f"longer with {SECONDS}.{_advice()}"
            )
        return sentence({rank: differences for rank, differences in found.items() if differences})

    def _await_readers(self, store: Store) -> None:
        """Keeps the store until the others have read the verdict, as far as they came."""
        farewell = Deadline(FAREWELL)
        came = sum(store.check([str(rank)]) for rank in range(1, self.world))
        while store.add("readers", 0) < came and farewell.left:
            farewell.pause("the other ranks to read this")


def sentence(found: Mapping[int, Sequence[Difference]]) -> str:
    """Says how ranks differ from the first one, `AGREED` if they do not.

    Args:
        found: The differences of each rank that has some.

    Example:
        >>> sentence({1: [("trainer.max_steps", "4", "5")]}).partition(";")[0]
        'Rank 1 differs from rank 0 in trainer.max_steps (5, not 4)'
    """
    if not found:
        return AGREED
    first, differences = next(iter(found.items()))
    said = [f"{name} ({here}, not {there})" for name, there, here in differences[:SHOWN]]
    more = len(differences) - len(said)
    said += [f"{more} more" if more > 1 else "one more"] if more else []
    listed = " and ".join([", ".join(said[:-1]), said[-1]] if said[1:] else said)
    verb = "differs" if len(found) == 1 else "differ"
    whose = "" if len(found) == 1 else f", rank {first}"
    return (
        f"{_ranks(list(found))} {verb} from rank 0{whose} in {listed}; start all processes with "
        "the same command, code and data."
    )


def _ranks(ranks: Sequence[int]) -> str:
    names = [str(rank) for rank in ranks[:SHOWN]]
    if len(ranks) > SHOWN:
        names.append(f"{len(ranks) - SHOWN} others")
    if len(names) == 1:
        return f"Rank {names[0]}"
    return f"Ranks {', '.join(names[:-1])} and {names[-1]}"


def _comes(store: Store, key: str, awaited: str, deadline: Deadline) -> bool:
    """Waits for a key by asking: torch's own waiting fills the screen and defers Ctrl-C."""
    while not store.check([key]):
        if not deadline.left:
            return False
        deadline.pause(awaited)
    return True


def _of_agent() -> bool:
    """Whether torchrun hosts the store, not the first process."""
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"


def _advice() -> str:
    """Says how processes of several machines find each other when torchrun starts them again.

    Attempts that share a store are told apart by a number of restarts, which differs between a
    machine that lost a process and one that only starts again with it; so they do in torch.
    """
    if not _of_agent() or os.environ.get("LOCAL_WORLD_SIZE") == os.environ.get("WORLD_SIZE"):
        return ""
    return (
        " If torchrun has started them again, set TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 for it on "
        "all machines: machines do not find each other in the store that attempts share."
    )


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".")
