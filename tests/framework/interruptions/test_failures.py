"""What is said of errors that others have caused."""

import pytest

from framework.interruptions import failures

CLOSED = RuntimeError("[../gloo/transport/tcp/pair.cc:537] Connection closed by peer")
LATE = RuntimeError(
    "[../gloo/transport/tcp/unbound_buffer.cc:78] Timed out waiting 2500ms for recv"
)


def test_the_death_of_a_worker_is_found_behind_what_it_caused():
    error = RuntimeError("the batch did not arrive")
    error.__cause__ = RuntimeError("DataLoader worker (pid 71) is killed by signal: Killed. ")
    assert failures.of_worker(error).startswith("A data loader worker (process 71) was killed (Ki")
    exited = RuntimeError("DataLoader worker (pid(s) 71) exited unexpectedly")
    assert failures.of_worker(exited).startswith("A data loader worker (process 71) died; where")
    assert failures.of_worker(RuntimeError("out of memory")) == ""


def test_errors_of_collectives_are_told_from_others():
    assert failures.is_collective(CLOSED)
    assert failures.is_collective(LATE)
    assert not failures.is_collective(RuntimeError("shapes (3, 4) and (5,) do not match"))
    assert not failures.is_collective(ValueError("gloo/ is no folder"))


@pytest.mark.parametrize(
    ("error", "answers", "fates", "said"),
    [
        (CLOSED, None, {}, "Rank 0, which hosts the store of the group, is gone"),
        (CLOSED, {0: "", 2: ""}, {1: "was killed by SIGKILL"}, "Rank 1 was killed by SIGKILL"),
        (CLOSED, {0: ""}, {}, "Ranks 1, 2 do not answer within 5 s: killed, hung, or their"),
        (LATE, {0: "", 2: ""}, {}, "is gone (after 2.5 s, trainer.strategy.timeout)"),
        (CLOSED, {0: "", 1: "KeyError: 1", 2: ""}, {}, "Rank 1 failed: KeyError: 1"),
        (LATE, {0: "", 1: "", 2: ""}, {}, "All ranks answer, but they wait for each other"),
    ],
)
def test_the_ranks_to_blame_are_named(error, answers, fates, said):
    assert said in failures.of_ranks(error, 0, 3, answers, fates, 5.0)
