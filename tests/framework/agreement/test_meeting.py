"""Processes that differ, that are late, or that look in the wrong place, end in one sentence."""

import os
import socket
import time

import pytest
from torch.distributed import TCPStore

from framework.agreement.address import SECONDS, Address, Deadline
from framework.agreement.meeting import Meeting, sentence
from tests.ranks import run_ranks


def differences(first, own):
    return [(k, str(first[k]), str(own[k])) for k in first if first[k] != own[k]]


def meet(facts, world=None, seconds=20.0):
    """Meets on this rank; returns what was said, "" if all agree."""
    rank, deadline = int(os.environ["RANK"]), Deadline(seconds)
    address = Address(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
    meeting = Meeting(address, rank, world or len(facts))
    try:
        store = meeting.store(deadline)
        meeting.compare(store, facts[rank], differences, deadline)
        meeting.compare(store, facts[rank], differences, deadline)  # for another verb
    except ValueError as error:
        return str(error)
    return ""


def test_equal_facts_pass():
    assert run_ranks(meet, 3, [{"lr": 0.1}] * 3) == ["", "", ""]


def test_all_ranks_say_who_differs_in_what():
    facts = [{"lr": 0.1, "steps": 4}, {"lr": 0.1, "steps": 4}, {"lr": 0.2, "steps": 5}]
    (said,) = set(run_ranks(meet, 3, facts))
    assert said == (
        "Rank 2 differs from rank 0 in lr (0.2, not 0.1) and steps (5, not 4); start all "
        "processes with the same command, code and data."
    )


def test_a_sentence_stays_short():
    keys = [(f"k{k}", "1", "2") for k in range(5)]
    said = sentence({rank: keys for rank in (1, 2, 4, 7, 9)})
    assert said.startswith(
        "Ranks 1, 2, 4 and 2 others differ from rank 0, rank 1 in k0 (2, not 1), k1 (2, not 1), "
        "k2 (2, not 1) and 2 more; start"
    )
    assert "k2 (2, not 1) and one more; start" in sentence({1: keys[:4]})


def test_a_rank_that_does_not_come_is_named():
    begin = time.monotonic()
    said = run_ranks(meet, 2, [{}, {}], 3, 1.0)
    assert time.monotonic() - begin < 10
    assert set(said) == {
        f"Rank 2 of 3 did not come to MASTER_ADDR=127.0.0.1 MASTER_PORT={port(said)} within 1 s; "
        f"see why, give every machine its own NODE_RANK, or wait longer with {SECONDS}."
    }


def meet_in_the_store_of_torchrun(seconds):
    """Meets after a restart that only the second of two machines has counted."""
    rank, port = os.environ["RANK"], int(os.environ["MASTER_PORT"])
    agent = TCPStore("127.0.0.1", port, is_master=rank == "0", wait_for_workers=False)
    os.environ.update(
        TORCHELASTIC_USE_AGENT_STORE="True",
        TORCHELASTIC_RESTART_COUNT=rank,
        LOCAL_WORLD_SIZE="1",
    )
    said = meet([{}, {}], seconds=seconds)
    agent.add("done", 1)
    while rank == "0" and agent.add("done", 0) < 2:
        time.sleep(0.01)
    return said


def test_machines_that_count_restarts_differently_are_told_what_to_set():
    said = run_ranks(meet_in_the_store_of_torchrun, 2, 1.0)
    assert said[0].startswith("Rank 1 of 2 did not come to MASTER_ADDR=127.0.0.1 ")
    assert said[1].startswith("Rank 0 was reached at MASTER_ADDR=127.0.0.1 ")
    for sentences in said:
        assert "set TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 for it on all machines" in sentences


def port(said):
    return said[0].partition("MASTER_PORT=")[2].split()[0]


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.mark.parametrize("rank", [0, 1])
def test_an_address_that_leads_nowhere(rank, capsys):
    meeting = Meeting(Address("no-such-host.invalid", free_port()), rank, 2)
    with pytest.raises(ValueError, match=r"^MASTER_ADDR=no-such-host.invalid leads to no machine"):
        meeting.store(Deadline(0.3))
    assert capsys.readouterr().err == ""


def test_nobody_listens():
    meeting = Meeting(Address("127.0.0.1", free_port()), 1, 2)
    said = (
        r"^Nobody listens at MASTER_ADDR=127.0.0.1 MASTER_PORT=\d+ \(tried for 0.3 s: Connection"
    )
    with pytest.raises(ValueError, match=said):
        meeting.store(Deadline(0.3))


def test_the_port_is_taken_or_none():
    with socket.socket() as other:
        other.bind(("", 0))
        other.listen()
        taken = Address("127.0.0.1", other.getsockname()[1])
        with pytest.raises(
            ValueError, match=r"^Rank 0 cannot listen at port \d+ .*address already"
        ):
            Meeting(taken, 0, 2).store(Deadline(1.0))
    with pytest.raises(ValueError, match="MASTER_PORT=70000 is no port"):
        Address("127.0.0.1", 70000).reach(Deadline(1.0))


def test_what_is_waited_for_is_said_once(capsys, monkeypatch):
    monkeypatch.setattr("framework.agreement.address.NOTICE", 0.1)
    with pytest.raises(ValueError, match="Nobody listens"):
        Address("127.0.0.1", free_port()).reach(Deadline(0.5))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Waits for the first process at MASTER_ADDR=127.0.0.1")
    assert line.endswith(" 0.5 s at most.")


def test_the_time_is_an_option(monkeypatch):
    assert Deadline.stated().seconds == 600
    monkeypatch.setenv(SECONDS, "2.5")
    assert Deadline.stated().seconds == 2.5
    for wrong in ("0", "soon"):
        monkeypatch.setenv(SECONDS, wrong)
        with pytest.raises(ValueError, match=f"{SECONDS}={wrong} is no positive number"):
            Deadline.stated()
