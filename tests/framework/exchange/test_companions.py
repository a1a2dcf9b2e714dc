"""With a model that was trained here go its tokenizer, how it continues texts, and a card."""

import json

import pytest
import torch
import yaml

from framework.data.tokens.tokenizer import BytePairTokenizer, ByteTokenizer
from framework.exchange.conversion import FORMATS, import_directory
from framework.exchange.exporting import export
from tests.framework.exchange.published import config_of, drawn, refusal, write_native

transformers = pytest.importorskip("transformers")
TEXT = "naïve <|endoftext|>  two\nlines 🙂"
RECIPE = {"model": {"class_path": "LanguageModel"}, "data": {"class_path": "TokenData"}}


@pytest.fixture
def run(tmp_path):
    """A run whose model was trained, as far as its files say: 257 tokens, of bytes."""
    folder = tmp_path / "run" / "checkpoints"
    folder.mkdir(parents=True)
    options = {"size": 257}
    source = write_native(
        tmp_path / "model", config_of(vocab_size=257, embedding_size=257), drawn(**options)
    )
    held = import_directory(source).checkpoint
    del held["published"]
    held["hyper_parameters"]["sampling"] = {"temperature": 0.5, "top_k": 7, "length": 9}
    torch.save({**held, "global_step": 1234}, folder / "best.ckpt")
    (tmp_path / "run" / "metrics.json").write_text(json.dumps({"val/nll": 1.25, "notes": []}))
    (tmp_path / "run" / "config.yaml").write_text(yaml.safe_dump(RECIPE))
    return folder / "best.ckpt"


def written(path, target, vocabulary, **options):
    """Exports a checkpoint with a tokenizer."""
    held = torch.load(path, weights_only=True)
    torch.save({**held, "tokenizer": vocabulary.describe()}, path)
    export(path, FORMATS["llama"], **options).write(target)
    return target


def test_the_tokenizer_and_its_ids_are_those_of_training(run, tmp_path, monkeypatch):
    monkeypatch.setenv("OVERTONE_CACHE", str(tmp_path / "cache"))
    pairs = BytePairTokenizer(300).fit("x", lambda: iter([TEXT * 3]))
    for name, vocabulary in {"bytes": ByteTokenizer(), "pairs": pairs}.items():
        folder = written(run, tmp_path / name, vocabulary)
        theirs = transformers.AutoTokenizer.from_pretrained(folder)
        ids = theirs(TEXT, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        assert ids == vocabulary.encode([TEXT])[0]
        assert theirs.decode(ids) == TEXT
        assert theirs.eos_token_id == vocabulary.end


def test_how_texts_are_continued(run, tmp_path):
    folder = written(run, tmp_path / "a", ByteTokenizer())
    found = transformers.GenerationConfig.from_pretrained(folder)
    assert (found.do_sample, found.temperature, found.top_k, found.top_p) == (True, 0.5, 7, 1.0)
    assert (found.max_new_tokens, found.eos_token_id) == (9, 256)


def test_the_card(run, tmp_path):
    text = (written(run, tmp_path / "a", ByteTokenizer(), licence="mit") / "README.md").read_text()
    _, head, body = text.split("---\n", 2)
    assert yaml.safe_load(head)["license"] == "mit"
    for line in ("| optimizer steps | 1,234 |", "| val/nll | 1.25 |", "class_path: TokenData"):
        assert line in body
    assert "Not stated" not in body
    of_model = {"model": RECIPE["model"]}  # as an import writes it
    (run.parent.parent / "config.yaml").write_text(yaml.safe_dump(of_model))
    text = (written(run, tmp_path / "c", ByteTokenizer()) / "README.md").read_text()
    assert "the recipe beside the checkpoint names no data" in text
    assert "class_path: LanguageModel" in text
    (run.parent.parent / "metrics.json").unlink()
    (run.parent.parent / "config.yaml").unlink()
    text = (written(run, tmp_path / "b", ByteTokenizer()) / "README.md").read_text()
    assert "license: unknown" in text
    assert "no recipe was saved beside the checkpoint" in text
    assert "No numbers were saved beside the checkpoint" in text
    assert "class_path: components.Decoder" in text


def test_what_came_with_a_published_model_goes_along(tmp_path):
    source = write_native(tmp_path / "model", config_of(), drawn())
    files = {"README.md": "# mine\n", "LICENSE": "do\r\n", "generation_config.json": "{ }"}
    for name, content in files.items():
        (source / name).write_bytes(content.encode())
    (source / "tokenizer.model").write_bytes(bytes(range(256)))
    torch.save(import_directory(source).checkpoint, tmp_path / "one.ckpt")
    for form in (None, FORMATS["hf_olmo"], FORMATS["llama"]):
        target = tmp_path / str(form and form.name)
        export(tmp_path / "one.ckpt", form).write(target)
        for name, content in files.items():
            assert (target / name).read_bytes() == content.encode()
        assert (target / "tokenizer.model").read_bytes() == bytes(range(256))
    said = refusal(lambda: export(tmp_path / "one.ckpt", licence="mit"))
    assert "was imported and keeps the card that it came with; drop licence=mit" in said
