"""The two ways to write an OLMo or FANformer: as its own code does, and for Hugging Face."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import yaml
from torch import Tensor

from framework.exchange.configuration import Configuration
from framework.exchange.formats import Format, Plan
from framework.exchange.olmo.architecture import Architecture
from framework.exchange.olmo.reading import architecture
from framework.exchange.olmo.writing import KEYS
from framework.exchange.rows import Rows


class OlmoFormat(Format):
    """A format of OLMo, in which FANformer is published.

    `prefix` starts the names of tensors; `weights` and `config` are the files that are written.
    """

    prefix: ClassVar[str]
    weights: ClassVar[str]
    config: ClassVar[str]

    def plan(self, config: Configuration, tensors: Mapping[str, Tensor]) -> Plan:
        """Describes a model; see `Format.plan`."""
        found = architecture(config, tensors, self.prefix)
        return Plan(
            architecture=found.title,
            backbone=found.backbone(),
            size=found.size,
            length=found.length,
            tied=found.tied,
            rows=self.rows(found),
            p=found.p,
        )

    def rows(self, described: Architecture) -> list[Rows]:
        """Lists the tensors of a model in the order in which OLMo's own code saves them."""
        return described.rows(self.prefix)

    @abstractmethod
    def text(self, values: Mapping[str, Any]) -> str:
        """Writes a configuration.

        Args:
            values: Keys of the model, in this format or the other.
        """


class Olmo(OlmoFormat):
    """The files of OLMo's own code: `model.pt`, or safetensors, and `config.yaml`."""

    name = "olmo"
    kinds = ()
    prefix = "transformer."
    weights = "model.pt"
    config = "config.yaml"

    def text(self, values: Mapping[str, Any]) -> str:
        """Writes the YAML of a configuration, whose key `model` is the model."""
        model = {key: value for key, value in values.items() if key in KEYS}
        text: str = yaml.safe_dump({"model": model}, sort_keys=False)
        return text


class HfOlmo(OlmoFormat):
    """The files of its wrapper for Hugging Face: `pytorch_model.bin` and `config.json`."""

    name = "hf_olmo"
    kinds = ("hf_olmo", "olmo")
    prefix = "model.transformer."
    weights = "pytorch_model.bin"
    config = "config.json"

    def text(self, values: Mapping[str, Any]) -> str:
        """Writes the JSON of a configuration."""
        model = {key: value for key, value in values.items() if key in KEYS}
        wrapper = {"model_type": "hf_olmo", "architectures": ["OLMoForCausalLM"]}
        return json.dumps({**wrapper, "use_cache": True, **model}, indent=2) + "\n"


OLMO, HF_OLMO = Olmo(), HfOlmo()
