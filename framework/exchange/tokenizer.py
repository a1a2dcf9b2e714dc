"""Reads the tokenizer that lies beside a published model, and which tokens begin and end texts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as Engine

from framework.data.tokens.tokenizer import END, read_engine
from framework.data.tokens.vocabularies import JsonVocabulary
from framework.exchange.files import parse

FILE, CONFIG, SPECIALS = "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"
GENERATION = "generation_config.json"
MODELS = ("config.json", "config.yaml")  # what a model is; one of OLMo's own code under `model`
TEMPLATES = ("added_tokens.json", "chat_template.jinja", "chat_template.json")


def describe_tokenizer(folder: Path, size: int, end: str | None = None) -> dict[str, Any] | None:
    """Describes the tokenizer of a published model, as checkpoints hold it; None without one.

    Its files name the token that begins a text and those that end one: that of the tokenizer
    (`bos_token`, `eos_token`), and ids of the model (`bos_token_id`, `eos_token_id`, which may be
    several). A text that the model writes ends at any of them.

    Args:
        folder: The directory, with a `tokenizer.json`.
        size: Number of tokens of the model.
        end: Name of the token that ends a text, in place of all that the files name.

    Raises:
        ValueError: If it cannot be read, it is not known which token ends a text, or it has more
            tokens than the model.
    """
    path = folder / FILE
    if not path.is_file():
        if end is not None:
            raise ValueError(
                f"{folder} holds no {FILE} that could have the token {end!r}; put it there, or "
                "drop the token."
            )
        return None
    engine = read_engine(str(path), str(folder))
    named = _Named(engine, folder)
    ends = named.ends() if end is None else [_id(path, engine, end)]
    if not ends:
        raise ValueError(
            f"{folder} does not say which token ends a text; name it as in --end '</s>', or take "
            f"{FILE} away to import the model without a tokenizer."
        )
    last, first = (engine.id_to_token(token) for token in (ends[0], *named.begins(), ends[0])[:2])
    assert last is not None  # ids without a token were left out
    tokenizer = JsonVocabulary(engine, last, begin=first, ends=ends, files=_kept(folder))
    if tokenizer.size > size:
        raise ValueError(
            f"{path} has {tokenizer.size} tokens, more than the {size} of the model; take it away "
            "to import the model without a tokenizer."
        )
    return tokenizer.describe()


class _Named:
    """The tokens that the files of a published model name.

    Args:
        engine: The tokenizer.
        folder: The directory.
    """

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        special = engine.get_added_tokens_decoder().items()
        self.special = {token for token, facts in special if facts.special}
        self.names = [_values(folder / name) for name in (CONFIG, SPECIALS)]
        self.ids = [_values(folder / name) for name in (GENERATION, *MODELS)]

    def begins(self) -> list[int]:
        """Returns the token that begins a text; none if none is named.

        The id of the model counts where it is a special token: many models that have none say what
        is the default of their kind, whatever stands there in their own tokenizer.
        """
        marked = (token for token in self._of_model("bos_token_id") if token in self.special)
        return [*self._of_tokenizer("bos_token"), *marked][:1]

    def ends(self) -> list[int]:
        """Returns the tokens that end a text, first the one that stands behind documents."""
        stated = self._of_model("eos_token_id")
        last = [token for token in (self.engine.token_to_id(END),) if token is not None]
        closing = (
            *self._of_tokenizer("eos_token"),
            *(token for token in stated if token in self.special),
            *self._of_tokenizer("bos_token"),
            *last,
        )
        return [*closing[:1], *stated]

    def _of_tokenizer(self, name: str) -> list[int]:
        """Returns the token that the first file has which names one of the tokenizer."""
        found = (self.engine.token_to_id(token_name(values.get(name))) for values in self.names)
        return [token for token in found if token is not None][:1]

    def _of_model(self, name: str) -> list[int]:
        """Returns the ids that the first file has which says some, as far as they are tokens."""
        stated: Any = next((x[name] for x in self.ids if x.get(name) is not None), [])
        every = stated if isinstance(stated, list) else [stated]
        return [
            token
            for token in every
            if isinstance(token, int) and token >= 0 and self.engine.id_to_token(token) is not None
        ]


def _id(path: Path, engine: Engine, name: str) -> int:
    found = engine.token_to_id(name)
    if found is None:
        raise ValueError(f"{path} has no token {name!r}, which shall end a text; name another.")
    return found


def token_name(value: Any) -> str:
    """Returns the name of a token, which may come with how it is read; "" for none."""
    match value:
        case str(name) | {"content": str(name)}:
            return name
        case _:
            return ""


def _values(path: Path) -> Mapping[str, Any]:
    """Reads a file of keys and values; without one there are none."""
    if not path.is_file():
        return {}
    values = parse(path, path.read_text(encoding="utf-8"))
    model = values.get("model")
    return model if path.name == MODELS[1] and isinstance(model, Mapping) else values


def _kept(folder: Path) -> dict[str, str]:
    """Reads what goes along with a tokenizer, for other programs."""
    paths = (folder / name for name in (CONFIG, SPECIALS, GENERATION, *TEMPLATES))
    return {path.name: path.read_text(encoding="utf-8") for path in paths if path.is_file()}
