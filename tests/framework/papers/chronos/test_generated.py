"""Generated series are a function of their number and the seed, whoever draws them."""

import pickle

import numpy as np
import pytest

from framework.data.series.panels import Arrays, load_panel, store_panel
from framework.data.series.recorded import Competition
from framework.papers.chronos import generated
from framework.papers.chronos.kernel_synth import KernelSynth
from framework.papers.chronos.mixup import TSMixup
from framework.papers.chronos.state_space import StateSpaceSynth


def recorded():
    rng = np.random.default_rng(1)
    return [
        Arrays([rng.normal(size=n) + 5 for n in (30, 9, 60)]),
        Arrays([rng.gamma(1.0, size=25)]),
    ]


SOURCES = {
    "kernel_synth": lambda **more: KernelSynth(number=7, length=40, **more),
    "state_space": lambda **more: StateSpaceSynth(number=7, shortest=8, longest=40, **more),
    "ts_mixup": lambda **more: TSMixup(recorded(), number=7, shortest=8, longest=32, **more),
}


@pytest.mark.parametrize("make", SOURCES.values(), ids=SOURCES)
def test_series_do_not_depend_on_who_draws_them(make, monkeypatch):
    monkeypatch.setattr(generated, "PIECE", 2)
    alone, together = make(seed=3), make(seed=3, workers=2)
    assert alone.key() == together.key()
    one, two = alone.read(), together.read()
    assert list(one.name) == list(two.name) == [str(n) for n in range(7)]
    np.testing.assert_array_equal(one.values, two.values)
    np.testing.assert_array_equal(one.first, two.first)


@pytest.mark.parametrize("make", SOURCES.values(), ids=SOURCES)
def test_more_series_begin_with_the_same(make, monkeypatch):
    monkeypatch.setattr(generated, "PIECE", 3)
    few, many = make(), make()
    many.number = 9
    for a, b in zip(few.read().series(), many.read().series(), strict=False):
        np.testing.assert_array_equal(a, b)
    assert few.key() != many.key() != make(seed=1).key()


@pytest.mark.parametrize("make", SOURCES.values(), ids=SOURCES)
def test_what_is_stored_is_what_is_drawn(make):
    source = make()
    np.testing.assert_array_equal(
        load_panel(store_panel(source)).compact().values, source.read().values
    )


@pytest.mark.parametrize("make", SOURCES.values(), ids=SOURCES)
def test_a_source_can_be_sent_to_a_process_however_it_is_started(make):
    source = make()
    source.open()
    sent = pickle.loads(pickle.dumps(source))
    for one, two in zip(*(s.draw_piece(range(3)) for s in (source, sent)), strict=True):
        np.testing.assert_array_equal(one, two)


def test_only_what_was_recorded_has_an_origin():
    assert KernelSynth(number=1).origins() == []
    sources = [Competition("M1", "yearly"), KernelSynth(number=2, length=30)]
    assert TSMixup(sources).origins() == sources[:1]


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (KernelSynth, {"number": 0}, "KernelSynth draws nothing with number=0"),
        (KernelSynth, {"workers": 0}, "workers=0"),
        (KernelSynth, {"length": 1}, "draws nothing with length=1"),
        (TSMixup, {"sources": []}, "no sources to mix"),
        (TSMixup, {"shortest": 9, "longest": 8}, "shortest=9, longest=8"),
        (TSMixup, {"concentration": 0.0}, "concentration=0.0"),
    ],
)
def test_mistakes_get_one_sentence(kind, options, message):
    with pytest.raises(ValueError, match=message):
        kind(**options)
