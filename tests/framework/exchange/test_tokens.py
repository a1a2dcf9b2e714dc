"""Tokens that begin, end and pad texts: read beside a model, kept, written in other formats."""

import json

import pytest
import torch

import cli
from framework.data.tokens.tokenizer import FileTokenizer
from framework.data.tokens.vocabularies import restore
from framework.exchange.conversion import FORMATS, import_directory
from framework.exchange.exporting import export
from framework.exchange.tokenizer import describe_tokenizer
from framework.generation import TextModel
from framework.pretrained import PretrainedTokenizer
from tests.framework.exchange import spoken
from tests.framework.exchange.published import refusal

TURN = 4  # a special token; 290 is a letter
NAMES = {"bos_token": "<s>", "eos_token": {"content": "</s>", "special": True}}
IDS = {"bos_token_id": 1, "eos_token_id": 2}
FILES = {  # what lies beside tokenizer.json; the first token, and all that end a text
    "names": ({"tokenizer_config": NAMES}, 1, (2,)),
    "names in an older file": ({"special_tokens_map": NAMES}, 1, (2,)),
    "ids": ({"config": IDS}, 1, (2,)),
    "several ids": ({"config": {**IDS, "eos_token_id": [TURN, 2]}}, 1, (TURN, 2)),
    "the ids of continuing come first": (
        {"config": IDS, "generation_config": {"eos_token_id": [TURN]}},
        1,
        (TURN,),
    ),
    "ids besides names": (
        {"tokenizer_config": NAMES, "generation_config": {"eos_token_id": [TURN, 290, 2]}},
        1,
        (2, TURN, 290),
    ),
    "no token in front": (
        {"tokenizer_config": {"bos_token": None, "eos_token": "</s>"}, "config": {}},
        2,
        (2,),
    ),
    "one that the model has": (
        {"tokenizer_config": {"eos_token": "</s>"}, "config": {"bos_token_id": TURN}},
        TURN,
        (2,),
    ),
    "one that is none": (
        {"tokenizer_config": {"eos_token": "</s>"}, "config": {"bos_token_id": 290}},
        2,
        (2,),
    ),
    "a token in front alone": ({"tokenizer_config": {"bos_token": "<s>"}}, 1, (1,)),
    "ids that are no tokens": (
        {"tokenizer_config": NAMES, "config": {"eos_token_id": [-1, 9999]}},
        1,
        (2,),
    ),
}


@pytest.mark.parametrize("files", FILES)
def test_tokens_are_read_from_the_files_beside_a_model(files, tmp_path):
    held, begin, ends = FILES[files]
    spoken.engine().save(str(tmp_path / "tokenizer.json"))
    for name, values in held.items():
        spoken.state(tmp_path, f"{name}.json", **values)
    found = restore(describe_tokenizer(tmp_path, 400))
    assert (found.begin, found.ends) == (begin, ends)
    named = restore(describe_tokenizer(tmp_path, 400, "<|turn|>"))
    assert named.ends == (TURN,)
    assert found.files.keys() == {f"{name}.json" for name in held} - {"config.json"}


def test_a_token_that_ends_texts_is_asked_for(tmp_path, capsys):
    spoken.engine().save(str(tmp_path / "tokenizer.json"))
    said = refusal(lambda: describe_tokenizer(tmp_path, 400))
    assert "does not say which token ends a text; name it as in --end '</s>'" in said
    said = refusal(lambda: describe_tokenizer(tmp_path, 400, "<end>"))
    assert "has no token '<end>', which shall end a text" in said
    (tmp_path / "empty").mkdir()
    said = refusal(lambda: describe_tokenizer(tmp_path / "empty", 400, "</s>"))
    assert "holds no tokenizer.json that could have the token '</s>'" in said


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model whose texts end with several tokens, with how it is continued."""
    pytest.importorskip("transformers")
    folder = spoken.write(tmp_path_factory.mktemp("model"))
    continued = {"eos_token_id": [2, TURN], "do_sample": True, "top_k": 3}
    spoken.state(folder, "generation_config.json", **continued)
    return folder


def test_the_command_line_names_the_token_that_ends_texts(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    cli.main(["import", str(folder), "one.ckpt"])
    cli.main(["import", str(folder), "other.ckpt", "--end", "<|turn|>"])
    assert TextModel("one.ckpt").vocabulary.ends == (2, TURN)
    assert TextModel("other.ckpt").vocabulary.ends == (TURN,)
    assert TextModel("other.ckpt").vocabulary.begin == 1


def values(folder, name):
    return json.loads((folder / name).read_text(encoding="utf-8"))


def came(folder):
    """What came along with a model, for other programs."""
    names = ("tokenizer_config.json", "generation_config.json", "chat_template.jinja")
    return {name: (folder / name).read_text(encoding="utf-8") for name in names}


@pytest.mark.parametrize("form", ["mistral", "olmo", "hf_olmo"])
def test_another_format_and_back_keeps_the_tokens(form, folder, tmp_path):
    torch.save(import_directory(folder).checkpoint, tmp_path / "one.ckpt")
    export(tmp_path / "one.ckpt", FORMATS[form]).write(tmp_path / form)
    if form == "mistral":
        ids = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
        assert ids.items() <= values(tmp_path / form, "config.json").items()
    assert came(tmp_path / form) == came(folder)
    torch.save(import_directory(tmp_path / form).checkpoint, tmp_path / "two.ckpt")
    one, two = (TextModel(tmp_path / name).vocabulary for name in ("one.ckpt", "two.ckpt"))
    assert (one.begin, one.ends) == (two.begin, two.ends) == (1, (2, TURN))
    export(tmp_path / "two.ckpt", FORMATS["llama"]).write(tmp_path / "llama")
    known = ("eos_token_id", "pad_token_id", *(["bos_token_id"] if form == "mistral" else []))
    for name in known:
        assert (
            values(tmp_path / "llama", "config.json")[name] == values(folder, "config.json")[name]
        )


@pytest.mark.parametrize("sampling", [None, {"length": 64}, {"temperature": 0.0}])
def test_a_model_that_was_trained_further_keeps_what_came_with_its_tokenizer(
    sampling, folder, tmp_path
):
    held = import_directory(folder).checkpoint
    del held["published"]
    if sampling is not None:
        held["hyper_parameters"]["sampling"] = sampling
    torch.save(held, tmp_path / "one.ckpt")
    export(tmp_path / "one.ckpt", FORMATS["llama"]).write(tmp_path / "again")
    expected, found = came(folder), came(tmp_path / "again")
    if sampling == {"temperature": 0.0}:  # that of the run
        greedy = json.loads(found.pop("generation_config.json"))
        del expected["generation_config.json"]
        assert greedy["do_sample"] is False
        assert greedy["eos_token_id"] == [2, TURN]
    assert found == expected
    ids = {"bos_token_id": 1, "eos_token_id": [2, TURN], "pad_token_id": 0}
    assert ids.items() <= values(tmp_path / "again", "config.json").items()
    theirs = pytest.importorskip("transformers").AutoTokenizer.from_pretrained(tmp_path / "again")
    assert (theirs.pad_token, theirs.unk_token, theirs.padding_side) == ("<pad>", "<unk>", "left")
    assert theirs.chat_template == spoken.CHAT


def test_a_tokenizer_is_the_same_however_it_is_named(folder):
    found = restore(describe_tokenizer(folder, 400))
    path = str(folder / "tokenizer.json")
    for other in (FileTokenizer(path, "</s>", "<s>"), PretrainedTokenizer(str(folder))):
        assert other.known().digest() == found.digest()
        assert other.known().between == found.between == [2, 1]
