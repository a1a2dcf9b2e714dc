"""Keeps text that spells a special token from being encoded as that token."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tokenizers import Regex, pre_tokenizers
from tokenizers import Tokenizer as Engine


def spelled(engine: Engine, names: Iterable[str]) -> list[str]:
    """Returns the special tokens that the model of a tokenizer makes of their spelling.

    The library leaves special tokens out of the search for added tokens (`encode_special_tokens`),
    but a model that has one among its words, as those of sentencepiece have, still finds it: a
    word of the model is found wherever it is the best reading of its own letters.

    Args:
        engine: The tokenizer.
        names: Names of special tokens; of one letter there is no other reading.
    """
    return [name for name in sorted(names) if len(name) > 1 and _is_read(engine, name)]


def _is_read(engine: Engine, name: str) -> bool:
    try:
        found = engine.model.tokenize(name)
    except Exception:  # the library raises a bare one for letters that the model does not have
        return False
    return engine.token_to_id(name) in {token.id for token in found}


def split(engine: Engine, names: Iterable[str]) -> None:
    """Lets the model of a tokenizer see the first letter of each name apart from the others.

    It is the last step before the model, after which no text is changed; it only cuts.

    Args:
        engine: The tokenizer; it is changed.
        names: Names of tokens, of two letters at least.
    """
    pattern = "|".join(f"{re.escape(name[0])}(?={re.escape(name[1:])})" for name in names)
    cut = pre_tokenizers.Split(Regex(pattern), "isolated")
    before = engine.pre_tokenizer
    engine.pre_tokenizer = cut if before is None else pre_tokenizers.Sequence([before, cut])
