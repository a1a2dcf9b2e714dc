"""The ranks that a process has started: how they ended, and that none is left."""

import subprocess
import time
from types import SimpleNamespace

from framework.interruptions import FAILED
from framework.interruptions.children import Children, describe
from tests.processes import run_forked

SLEEP = ("sleep", "60")
END = ("sh", "-c", "exit 3")


def launched(*commands):
    return SimpleNamespace(procs=[subprocess.Popen(command) for command in commands])


def test_tells_how_each_has_ended_and_leaves_none():
    launcher = launched(SLEEP, END, SLEEP)
    killed, ended, alive = launcher.procs
    children = Children(launcher, 4, patience=60.0)
    assert launcher.procs == []  # nothing is left for Lightning's observer, which kills everything
    killed.kill()
    killed.wait()
    ended.wait()
    assert children.fates() == {5: "was killed by SIGKILL", 6: "ended with status 3"}
    assert describe(children.fates()) == "Rank 5 was killed by SIGKILL, Rank 6 ended with status 3"
    children.end(0.0)
    assert alive.wait(5) < 0


def test_a_process_that_is_stuck_is_ended():
    def stuck():
        Children(launched(END), 0, patience=0.1)
        time.sleep(60)

    assert run_forked(stuck) == FAILED


def test_without_a_launcher_there_is_nothing_to_watch():
    assert Children(None, 0, patience=1.0).fates() == {}
