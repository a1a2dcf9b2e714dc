"""Equal parameters: `hidden: ${equal_parameters:8192}` makes a model as large as a plain one.

"As wide as makes it as large as a Transformer of width 8192 that has neither `projection` nor
`value`." The width is computed when a command line is read: `--print_config`, the saved
configuration and checkpoints hold the number.
"""

from __future__ import annotations

import copy
import json
from functools import cache
from typing import Any

import torch
from jsonargparse import ArgumentError, ArgumentParser
from omegaconf import Node, OmegaConf

from components.interfaces import Backbone, BackboneFactory

WORD = "equal_parameters"
PLACE = ("hidden", "init_args", "feedforward", "init_args")  # of the word, from below
ADDED = ("projection", "value")  # options of a backbone that a plain Transformer does without
MULTIPLE = 4  # widths are multiples of it, as kernels like and the authors' widths are


def register() -> None:
    """Makes the word known to recipes; may be called again."""
    OmegaConf.register_resolver(WORD, _resolve, replace=True, annotation_validation="off")


def _resolve(*words: Any, _node_: Node) -> int:
    """Computes the width where the word stands; OmegaConf passes that place as `_node_`."""
    match words:
        case [int(plain)] if plain > 0:
            given = f"{WORD}:{plain}"
        case _:
            raise ValueError(
                f"{WORD}:{','.join(map(str, words))} names no width; give that of the plain "
                f"Transformer, as in ${{{WORD}:8192}}."
            )
    above = [_node_]
    while (parent := above[-1]._get_parent()) is not None:
        above.append(parent)
    if tuple(node._key() for node in above[: len(PLACE)]) != PLACE:
        raise ValueError(
            f"{given} computes the width of a feed-forward network from what surrounds it; "
            "use it for backbone.init_args.feedforward.init_args.hidden, or write a number."
        )
    backbone: Any = copy.deepcopy(above[len(PLACE)])  # it still knows its parents
    OmegaConf.update(backbone, ".".join(reversed(PLACE)), plain)
    options = OmegaConf.to_container(backbone, resolve=True)
    try:
        return equal_width(json.dumps(options, sort_keys=True), plain)
    except ArgumentError:
        return plain  # the options are wrong, as the command line will find out and say


@cache
def equal_width(backbone: str, plain: int) -> int:
    r"""Computes the width of feed-forward networks that makes a backbone as large as a plain one.

    .. math:: \text{plain} - \frac{N(\text{backbone}) - N(\text{plain backbone})}{\text{unit}}

    to the nearest multiple of 4, where N counts the entries of matrices (biases are left out) and
    a unit is what one more of `hidden` costs.

    Args:
        backbone: Its class path and options in JSON, with `hidden` as wide as `plain`.
        plain: Width of the feed-forward network of the plain Transformer.

    Raises:
        ValueError: If nothing is left for the feed-forward network.

    Source: Dong et al., "FANformer" (arXiv:2502.21309), Table 10; at `dim` 2048 the authors'
        configurations have 7680 in place of 8192, and 7508 with a linear layer as projection.
    """
    options = json.loads(backbone)
    without = copy.deepcopy(options)
    without["init_args"] |= {name: None for name in ADDED if name in options["init_args"]}
    wider = copy.deepcopy(without)
    wider["init_args"]["feedforward"]["init_args"]["hidden"] = plain + 1
    whole, bare = _entries(options), _entries(without)
    if whole == bare:
        return plain
    unit = _entries(wider) - bare
    width = MULTIPLE * round((plain - (whole - bare) / unit) / MULTIPLE)
    if width < MULTIPLE:
        raise ValueError(
            f"{WORD}:{plain} leaves nothing for the feed-forward network: what stands in front of "
            f"attention costs as much as {(whole - bare) / unit:.0f} of its width; give more."
        )
    return width


def _entries(backbone: dict[str, Any]) -> int:
    """Counts the entries of the matrices of a backbone, which is built without storage."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--backbone", type=BackboneFactory)
    factory = parser.instantiate_classes(parser.parse_object({"backbone": backbone})).backbone
    with torch.device("meta"):
        built: Backbone = factory()
    return sum(parameter.numel() for parameter in built.parameters() if parameter.ndim == 2)
