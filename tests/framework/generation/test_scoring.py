"""Scores of files against sums over their windows, and against what `test` reports."""

import json
import math

import pytest
import torch

from components.data import TokenBatch
from framework.data import TextFiles, TokenData
from framework.data.tokens.tokenizer import KnownVocabulary
from framework.exchange.conversion import import_directory
from framework.generation import TextModel
from framework.generation.scoring import Score, ScoredFile, score
from tests.framework.conftest import OTHER, TEXT
from tests.framework.exchange import spoken


@pytest.fixture(scope="module")
def model(written):
    return TextModel(written.checkpoint)


def test_a_file_is_scored_as_test_does(written, model):
    found = score(model, ScoredFile(written.other), batch_size=3)
    source = TextFiles(str(written.folder / "text.txt"), str(written.other))
    data = TokenData(source, KnownVocabulary(model.vocabulary), 32)
    batch = (windows := data.dataset("test")).__getitems__(list(range(len(windows))))
    with torch.no_grad():
        log_prob = model.checkpoint.module(batch).log_prob(batch.target)
    nats = -log_prob[batch.weight > 0].double().sum().item()
    assert found.nats == pytest.approx(nats, rel=1e-6)
    assert found.tokens == batch.weight.sum()
    assert found.bytes == written.other.stat().st_size
    metrics = found.metrics
    assert metrics["bits_per_byte"] == pytest.approx(nats / math.log(2) / found.bytes)
    assert metrics["bits_per_byte"] == pytest.approx(
        metrics["nll"] / math.log(2) / data.bytes_per_token("test")
    )
    assert metrics["perplexity"] == pytest.approx(math.exp(nats / found.tokens))


def test_documents_of_json_lines_each_have_a_beginning(model, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"text": row}) + "\n" for row in (TEXT, OTHER)))
    found = score(model, ScoredFile(path), 8)
    assert found.bytes == len((TEXT + OTHER).encode())
    ids = model.vocabulary.encode([TEXT, OTHER])
    assert found.tokens == sum(map(len, ids)) + 1
    with pytest.raises(ValueError, match=r"line 1 has no 'body', it has 'text'"):
        score(model, ScoredFile(path, "body"), 8)


def test_what_begins_a_document_is_given_where_another_token_ends_the_one_before(tmp_path):
    """As transformers scores documents that begin with one token and end with another."""
    transformers = pytest.importorskip("transformers")
    folder, path = spoken.write(tmp_path / "model"), tmp_path / "rows.jsonl"
    torch.save(import_directory(folder).checkpoint, tmp_path / "one.ckpt")
    path.write_text("".join(json.dumps({"text": row}) + "\n" for row in ("the sky", "is the")))
    found = score(TextModel(tmp_path / "one.ckpt"), ScoredFile(path), 8)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    one, two = (tokenizer.encode(text) for text in ("the sky", "is the"))
    assert one[0] == two[0] == tokenizer.bos_token_id
    ids = torch.tensor([[*one, tokenizer.eos_token_id, *two]])
    labels = ids.where(ids != tokenizer.bos_token_id, -100)
    with torch.no_grad():
        model = transformers.AutoModelForCausalLM.from_pretrained(folder)
        expected = model(ids, labels=labels).loss.item()
    assert found.tokens == ids.shape[1] - 2
    assert found.metrics["nll"] == pytest.approx(expected, rel=1e-5)


def test_a_short_text_costs_no_more_than_its_tokens(model, tmp_path):
    """The same numbers as from a window that is filled up."""
    (tmp_path / "short.txt").write_text(OTHER[:20], encoding="utf-8")
    module, read = model.checkpoint.module, []
    handle = module.register_forward_pre_hook(lambda _, given: read.append(given[0]))
    found = score(model, ScoredFile(tmp_path / "short.txt"), 8)
    handle.remove()
    [batch] = read
    assert batch.tokens.shape == (1, found.tokens)
    whole = TokenBatch(*(torch.nn.functional.pad(x, (0, 32 - found.tokens)) for x in batch))
    with torch.no_grad():
        log_prob = module(whole).log_prob(whole.target)[whole.weight > 0]
    assert found.tokens < 32
    assert found.nats == pytest.approx(-log_prob.double().sum().item(), rel=1e-6)


def test_bytes_are_those_of_the_file(model, tmp_path):
    content = TEXT.replace("\n", "\r\n").encode() * 3
    (tmp_path / "dos.txt").write_bytes(content)
    found = score(model, ScoredFile(tmp_path / "dos.txt"), 8)
    assert found.bytes == len(content)
    assert found.tokens == len(model.vocabulary.encode([content.decode()])[0])


def test_scores_add_up():
    total = Score(10, 30, 7.0) + Score(5, 10, 8.0)
    assert total.metrics == pytest.approx(
        {"nll": 1.0, "perplexity": math.e, "bits_per_byte": 15 / math.log(2) / 40}
    )


def test_a_file_without_text(model, tmp_path):
    (tmp_path / "empty.txt").touch()
    with pytest.raises(ValueError, match=r"^'.*empty.txt' holds no text; check"):
        score(model, ScoredFile(tmp_path / "empty.txt"), 8)
