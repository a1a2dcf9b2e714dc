"""Statistics in a file come back as they were; a file that is of no use is one sentence."""

import json
import re

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from framework.analysis import Sample
from framework.papers.token_encoding import Statistics, gather, readout
from framework.papers.token_encoding import statistics as code
from tests.framework.papers.myopic.models import Windows
from tests.framework.papers.token_encoding.models import language_model


def found(module, **options):
    return gather(module, Sample(Windows(4)), **options)


def test_a_file_gives_back_everything(tmp_path):
    path = tmp_path / "new" / "statistics.safetensors"
    statistics = found(language_model(), provenance={"checkpoint": "last.ckpt", "split": "val"})
    for _ in range(2):  # one that is there is replaced
        statistics.save(path)
    loaded = Statistics.load(path)
    for name in (*code.TENSORS, *code.NUMBERS, "fingerprint", "provenance"):
        mine, theirs = getattr(loaded, name), getattr(statistics, name)
        assert torch.equal(mine, theirs) if isinstance(mine, torch.Tensor) else mine == theirs
    for name in code.FIELDS:
        assert torch.equal(getattr(loaded.contexts, name), getattr(statistics.contexts, name))
    assert loaded.contexts.hidden.dtype == torch.float32
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_save_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    path, statistics = tmp_path / "s.safetensors", found(language_model())
    statistics.save(path)
    before = path.read_bytes()

    def interrupted(tensors, aside, texts):
        aside.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(code, "save_file", interrupted)
    with pytest.raises(OSError, match="No space left"):
        statistics.save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def changed(path, tensors=(), **texts):
    """Writes a file again without some tensors, and with other texts; None leaves one out."""
    with safe_open(path, "pt") as file:
        kept = {name: file.get_tensor(name) for name in file.keys() if name not in tensors}  # noqa: SIM118
        noted = {**file.metadata(), **texts}
    save_file(kept, path, {name: text for name, text in noted.items() if text is not None})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"kind": None}, "holds no statistics of tokens; give one that `overtone probe` wrote"),
        ({"kind": "other"}, "holds no statistics of tokens"),
        ({"version": "0"}, "are of version 0, this release reads version 1; gather them again"),
        ({"version": None}, "are of version None"),
        ({"fingerprint": None}, "are not complete ('fingerprint'); gather them again with"),
        ({"provenance": None}, "are not complete ('provenance')"),
        ({"provenance": "{"}, "are not complete (Expecting property name"),
        ({"numbers": json.dumps({"positions": 3})}, "are not complete ('log_z')"),
        ({"numbers": "3"}, "are not complete ("),
        ({"tensors": ["alpha"]}, "are not complete ('alpha')"),
        ({"tensors": ["contexts.hidden"]}, "are not complete ('contexts.hidden')"),
    ],
)
def test_a_file_of_something_else_is_one_sentence(change, sentence, tmp_path):
    path = tmp_path / "s.safetensors"
    found(language_model()).save(path)
    changed(path, **change)
    with pytest.raises(ValueError, match=re.escape(sentence)) as told:
        Statistics.load(path)
    assert str(path) in str(told.value)


def test_a_file_that_is_missing_or_damaged_is_one_sentence(tmp_path):
    path = tmp_path / "s.safetensors"
    with pytest.raises(
        ValueError, match=r"There are no statistics .*s.safetensors'; check the pa"
    ):
        Statistics.load(path)
    found(language_model()).save(path)
    whole = path.read_bytes()
    for damage in (b"", b"text", whole[:100], whole[:-8]):
        path.write_bytes(damage)
        with pytest.raises(ValueError, match=r"s.safetensors' is damaged or holds no statistics"):
            Statistics.load(path)


def test_statistics_of_another_read_out_are_refused():
    module, other = language_model(), language_model(1)
    statistics = found(module, provenance={"checkpoint": "a.ckpt"})
    statistics.require(readout(module))
    with pytest.raises(
        ValueError, match=r"gathered with the read-out of a.ckpt, which is another"
    ):
        statistics.require(readout(other))
