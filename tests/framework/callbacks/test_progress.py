"""The progress of training: a bar in a terminal, lines without one."""

import io
import re
import sys
from itertools import pairwise

import pytest

from framework.callbacks import Progress
from tests.framework.modules.fakes import data, module, trainer


class Terminal(io.StringIO):
    def isatty(self):
        return True


def run(monkeypatch, out, every=2, **options):
    monkeypatch.setattr(sys, "stdout", out)
    bar = Progress(every=every)
    settings = {"callbacks": [bar], "enable_progress_bar": True, "max_steps": 4, **options}
    trainer(**settings).fit(module(), data())
    return bar, out.getvalue()


class Clock:
    """Advances by some seconds whenever it is read."""

    def __init__(self, monkeypatch, seconds):
        self.now, self.seconds = 0.0, seconds
        monkeypatch.setattr("framework.callbacks.progress.perf_counter", self)

    def __call__(self):
        self.now += self.seconds
        return self.now


LINE = re.compile(
    r"step (\d+) of (\d+), loss [\d.e+-]+(, val [\d.e+-]+)?, positions/s [\d,]+"
    r"(, \d+:\d\d:\d\d left)?"
)


@pytest.mark.slow
def test_prints_the_first_steps_and_the_last_without_a_terminal(monkeypatch):
    Clock(monkeypatch, 0.001)
    _, text = run(monkeypatch, io.StringIO(), max_steps=200)
    found = [LINE.fullmatch(line) for line in text.splitlines()]
    assert [match.groups()[:2] for match in found] == [("2", "200"), ("200", "200")]
    assert found[0][4]
    assert found[1][4] is None


def test_prints_a_line_every_thirty_seconds(monkeypatch):
    """The clock is read several times a step, at ten seconds each."""
    clock = Clock(monkeypatch, 10)
    times = []
    monkeypatch.setattr(Progress, "_print", lambda self, trainer, _: note(self, trainer))

    def note(bar, trainer):
        times.append(clock.now)
        bar._printed = (trainer.global_step, clock.now)

    run(monkeypatch, io.StringIO(), max_steps=20)
    assert len(times) > 4
    *times, _ = times  # the last line is printed at once
    assert all(30 <= later - earlier <= 60 for earlier, later in pairwise(times))


def test_prints_the_validation_and_flushes(monkeypatch):
    out = io.StringIO()
    flushed = []
    monkeypatch.setattr(out, "flush", lambda: flushed.append(out.getvalue()), raising=False)
    _, text = run(
        monkeypatch, out, limit_val_batches=1.0, val_check_interval=4, check_val_every_n_epoch=None
    )
    assert LINE.fullmatch(text.splitlines()[-1])[3]
    assert flushed[0].startswith("step 1 of 4")


@pytest.mark.parametrize("options", [{"every": 0}, {"enable_progress_bar": False}])
def test_prints_nothing_if_there_should_be_no_bar(monkeypatch, options):
    if "enable_progress_bar" in options:  # the command line leaves the callback out
        options = {**options, "callbacks": []}
    _, text = run(monkeypatch, io.StringIO(), **options)
    assert text == ""


@pytest.mark.slow
def test_a_resumed_run_counts_the_time_left_from_its_start(monkeypatch, tmp_path):
    saved = tmp_path / "first.ckpt"
    first = trainer(max_steps=50)
    first.fit(module(), data())
    first.save_checkpoint(saved)
    Clock(monkeypatch, 1)
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    settings = {"callbacks": [Progress()], "enable_progress_bar": True, "max_steps": 150}
    trainer(**settings).fit(module(), data(), ckpt_path=saved)
    assert out.getvalue().startswith("step 51 of 150")


def test_shows_steps_loss_and_throughput(monkeypatch):
    bar, text = run(
        monkeypatch,
        Terminal(),
        limit_val_batches=1.0,
        val_check_interval=2,
        check_val_every_n_epoch=None,
    )
    last = text.replace("\n", "\r").split("Training")[-1]
    assert "4/4" in last
    assert re.search(r"loss=[\d.e+-]+", last)
    assert re.search(r"val=[\d.e+-]+", last)
    assert re.search(r"positions/s=[\d,]+", last)
    assert bar.train_progress_bar.n == 4


def test_throughput_counts_positions_of_all_processes(monkeypatch):
    """Two steps of 8 examples with one position each, in a second per step."""
    clock = iter(range(1000))
    monkeypatch.setattr("framework.callbacks.progress.perf_counter", lambda: float(next(clock)))
    bar, _ = run(monkeypatch, Terminal())
    assert bar._rate == 16 / 1  # the clock is read once per update
