"""The progress bar: quiet without a terminal, and what it says with one."""

import io
import re
import sys

from framework.callbacks import Progress
from tests.framework.modules.fakes import data, module, trainer


class Terminal(io.StringIO):
    def isatty(self):
        return True


def run(monkeypatch, out, **options):
    monkeypatch.setattr(sys, "stdout", out)
    bar = Progress(every=2)
    trainer(callbacks=[bar], enable_progress_bar=True, max_steps=4, **options).fit(
        module(), data()
    )
    return bar, out.getvalue()


def test_quiet_without_a_terminal(monkeypatch):
    _, text = run(monkeypatch, io.StringIO())
    assert text == ""


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
