"""What goes along with an exported model: its tokenizer, how it continues texts, and its card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from framework.data.tokens.text import TOKENIZER
from framework.data.tokens.tokenizer import END
from framework.data.tokens.vocabularies import Bytes, JsonVocabulary, restore
from framework.evaluation.generation import SAMPLING
from framework.exchange.conversion import ORIGIN
from framework.exchange.files import parse
from framework.exchange.tokenizer import CONFIG, FILE, GENERATION, SPECIALS, token_name

BEGIN, ENDS, PADDING = "bos_token_id", "eos_token_id", "pad_token_id"


def tokenizer_files(checkpoint: Mapping[str, Any]) -> dict[str, str]:
    """Writes the tokenizer of a checkpoint as transformers reads it.

    Args:
        checkpoint: The checkpoint. If its tokenizer was imported, so were files beside it, which
            are written as they were.

    Returns:
        Texts of files by name; none where the checkpoint holds no tokenizer of text.
    """
    match checkpoint.get(TOKENIZER):
        case {"kind": "json", "json": str(text), "end": str(end), **more}:
            names = {"bos_token": more.get("begin", end), "eos_token": end}
        case {"kind": "bytes"}:
            text, names = _bytes().to_str(), {"bos_token": END, "eos_token": END}
        case _:
            return {}
    options = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **names,
        "model_max_length": checkpoint["hyper_parameters"]["spec"].length,
        "clean_up_tokenization_spaces": False,
    }
    came = {name: x for name, x in _came(checkpoint).items() if name != GENERATION}
    return {FILE: text, CONFIG: _json(options), **came}


def generation_file(checkpoint: Mapping[str, Any]) -> dict[str, str]:
    """Writes how texts are continued, as transformers reads it.

    Args:
        checkpoint: The checkpoint, whose model has options of sampling, unless it was imported
            only. If such a file was imported with its tokenizer, and its options are the defaults,
            the file is written as it was.
    """
    stated = _options(checkpoint.get("hyper_parameters", {}).get("sampling"))
    sampling = {**vars(SAMPLING), **stated}
    came = _came(checkpoint)
    if GENERATION in came and sampling == vars(SAMPLING):
        return {GENERATION: came[GENERATION]}
    if not stated:
        return {GENERATION: _json(token_ids(checkpoint))}
    greedy = sampling["temperature"] == 0
    chosen: dict[str, Any] = {"do_sample": not greedy, "max_new_tokens": sampling["length"]}
    if not greedy:
        chosen |= {name: sampling[name] for name in ("temperature", "top_p")}
        chosen["top_k"] = sampling["top_k"] or 0  # 0 turns it off there, whose default is 50
    return {GENERATION: _json({**chosen, **token_ids(checkpoint)})}


def token_ids(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the ids of the tokens that begin, end and pad texts, by their keys in transformers.

    Args:
        checkpoint: The checkpoint; what it was imported from says it first, then its tokenizer.
    """
    described = checkpoint.get(TOKENIZER)
    vocabulary = restore(described) if isinstance(described, Mapping) else None
    found = _of_vocabulary(vocabulary) if isinstance(vocabulary, (JsonVocabulary, Bytes)) else {}
    origin = checkpoint.get(ORIGIN, {})
    read = parse(origin["config"], origin["texts"][origin["config"]]) if origin else {}
    model = read.get("model")  # in a file of OLMo's own code
    stated = model if isinstance(model, Mapping) else read
    keys = (key for key in (BEGIN, ENDS, PADDING) if stated.get(key) is not None)
    return found | {key: stated[key] for key in keys}


def _of_vocabulary(vocabulary: JsonVocabulary | Bytes) -> dict[str, Any]:
    """Returns the ids that a vocabulary knows.

    Where files came along that name no token in front of a text, there is none in transformers.
    """
    begin, ends = vocabulary.begin, list(vocabulary.ends)
    known = {BEGIN: begin, ENDS: ends if len(ends) > 1 else ends[0]}
    if not isinstance(vocabulary, JsonVocabulary) or not vocabulary.files:
        return known
    named = _named(vocabulary, {BEGIN: "bos_token", PADDING: "pad_token"})
    if begin == vocabulary.end and BEGIN not in named:
        del known[BEGIN]
    return {**named, **known}


def _named(vocabulary: JsonVocabulary, keys: Mapping[str, str]) -> dict[str, int]:
    """Returns the ids of tokens that the files beside a tokenizer name, as far as it has them."""
    found: dict[str, int] = {}
    for file in (SPECIALS, CONFIG):
        values = parse(file, vocabulary.files.get(file, "{}"))
        for key, name in keys.items():
            token = vocabulary.id_of(token_name(values.get(name)))
            found |= {} if token is None else {key: token}
    return found


def _came(checkpoint: Mapping[str, Any]) -> dict[str, str]:
    """Returns the files that were imported with the tokenizer of a checkpoint."""
    described = checkpoint.get(TOKENIZER)
    return dict(described.get("files", {})) if isinstance(described, Mapping) else {}


def _options(described: Any) -> dict[str, Any]:
    if not isinstance(described, Mapping):
        return {} if described is None else dict(vars(described))
    return dict(described.get("init_args", described))


def _bytes() -> Tokenizer:
    """Builds the tokenizer of bytes, whose ids are the bytes themselves."""
    names = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    letters = [names.pre_tokenize_str(chr(byte))[0][0] for byte in range(128)]
    rest = _letters_of_bytes(letters)
    engine = Tokenizer(models.BPE(vocab={letter: k for k, letter in enumerate(rest)}, merges=[]))
    engine.pre_tokenizer = names
    engine.decoder = decoders.ByteLevel()
    engine.add_special_tokens([END])
    assert engine.token_to_id(END) == Bytes.end
    return engine


def _letters_of_bytes(ascii_letters: list[str]) -> list[str]:
    """Returns the letter by which the library writes each of 256 bytes.

    Printable bytes are written as they are, all others as the letters from 256 on, in order.
    """
    alphabet = set(pre_tokenizers.ByteLevel.alphabet())
    others = iter(sorted(letter for letter in alphabet if ord(letter) >= 256))
    found = [chr(byte) if chr(byte) in alphabet else next(others) for byte in range(256)]
    assert found[:128] == ascii_letters
    return found


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, indent=2) + "\n"
