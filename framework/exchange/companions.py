"""What goes along with an exported model: its tokenizer, how it continues texts, and its card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from framework.data.tokens.text import TOKENIZER
from framework.data.tokens.tokenizer import END
from framework.data.tokens.vocabularies import Bytes, restore

ENGINE, ENGINE_OPTIONS = "tokenizer.json", "tokenizer_config.json"
GENERATION = "generation_config.json"


def tokenizer_files(checkpoint: Mapping[str, Any]) -> dict[str, str]:
    """Writes the tokenizer of a checkpoint as transformers reads it.

    Args:
        checkpoint: The checkpoint.

    Returns:
        Texts of files by name; none where the checkpoint holds no tokenizer of text.
    """
    match checkpoint.get(TOKENIZER):
        case {"kind": "json", "json": str(text), "end": str(end)}:
            return _tokenizer(text, end, checkpoint)
        case {"kind": "bytes"}:
            return _tokenizer(_bytes().to_str(), END, checkpoint)
        case _:
            return {}


def _tokenizer(text: str, end: str, checkpoint: Mapping[str, Any]) -> dict[str, str]:
    options = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": end,
        "eos_token": end,
        "model_max_length": checkpoint["hyper_parameters"]["spec"].length,
        "clean_up_tokenization_spaces": False,
    }
    return {ENGINE: text, ENGINE_OPTIONS: _json(options)}


def generation_file(checkpoint: Mapping[str, Any]) -> dict[str, str]:
    """Writes how texts are continued, as transformers reads it.

    Args:
        checkpoint: The checkpoint, whose model has options of sampling.
    """
    sampling = {"temperature": 1.0, "top_k": None, "top_p": 1.0, "length": 64}
    sampling |= _options(checkpoint.get("hyper_parameters", {}).get("sampling"))
    greedy = sampling["temperature"] == 0
    chosen: dict[str, Any] = {"do_sample": not greedy, "max_new_tokens": sampling["length"]}
    if not greedy:
        chosen |= {name: sampling[name] for name in ("temperature", "top_p")}
        chosen["top_k"] = sampling["top_k"] or 0  # 0 turns it off there, whose default is 50
    end = _end(checkpoint)
    if end is not None:
        chosen |= {"bos_token_id": end, "eos_token_id": end}
    return {GENERATION: _json(chosen)}


def _options(described: Any) -> dict[str, Any]:
    if not isinstance(described, Mapping):
        return {} if described is None else dict(vars(described))
    return dict(described.get("init_args", described))


def _end(checkpoint: Mapping[str, Any]) -> int | None:
    """Returns the id of the token between documents, None where there is none that is known."""
    description = checkpoint.get(TOKENIZER)
    if not isinstance(description, Mapping) or description.get("kind") not in ("json", "bytes"):
        return None
    vocabulary = restore(description)
    return None if vocabulary is None else vocabulary.end


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
