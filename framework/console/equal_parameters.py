"""`hidden: ${equal_parameters:8192}` sets the width that makes a model as large as a plain one.

The plain one is a Transformer with feed-forward networks of width 8192 and neither `projection`
nor `value`; the networks are those of the recipe, or what their class names as `plain`. The width
is computed when the command line is parsed: `--print_config`, saved recipes and checkpoints hold
the number.
"""

from __future__ import annotations

import copy
import json
from functools import cache
from pydoc import locate
from typing import Any

import torch
from jsonargparse import ArgumentError, ArgumentParser, Namespace
from omegaconf import Node, OmegaConf

from components.interfaces import Backbone, BackboneFactory

RESOLVER = "equal_parameters"
PATH = ("hidden", "init_args", "feedforward", "init_args")  # where it may stand, innermost first
EXTRAS = ("projection", "value")  # options of a backbone that a plain Transformer leaves out
MULTIPLE = 4  # of which widths are, as the authors' are; kernels are faster


def register() -> None:
    """Registers the resolver with OmegaConf; may be called again."""
    OmegaConf.register_resolver(RESOLVER, _resolve, replace=True, annotation_validation="off")


def _resolve(*arguments: Any, _node_: Node) -> int:
    """Computes the width; `_node_` is where the interpolation stands in the recipe."""
    match arguments:
        case [int(plain)] if plain > 0:
            given = f"{RESOLVER}:{plain}"
        case _:
            raise ValueError(
                f"{RESOLVER}:{','.join(map(str, arguments))} names no width; give that of the "
                f"plain Transformer, as in ${{{RESOLVER}:8192}}."
            )
    above = [_node_]
    while (parent := above[-1]._get_parent()) is not None:
        above.append(parent)
    if tuple(node._key() for node in above[: len(PATH)]) != PATH:
        raise ValueError(
            f"{given} computes the width of a feed-forward network from what surrounds it; "
            "use it for backbone.init_args.feedforward.init_args.hidden, or write a number."
        )
    backbone: Any = copy.deepcopy(above[len(PATH)])  # keeps its parents
    OmegaConf.update(backbone, ".".join(reversed(PATH)), plain)
    options = OmegaConf.to_container(backbone, resolve=True)
    try:
        return equal_width(json.dumps(options, sort_keys=True), plain)
    except ArgumentError:
        return plain  # the options are wrong; the command line reports it later


@cache
def equal_width(backbone: str, plain: int) -> int:
    r"""Computes the width of feed-forward networks that makes a backbone as large as a plain one.

    .. math:: \text{plain} - \frac{N(\text{backbone}) - N(\text{plain backbone})}{\text{unit}}

    to the nearest multiple of 4, where N is the number of entries of all matrices (without biases)
    and a unit is that of one more hidden feature.

    Args:
        backbone: Its class path and options in JSON, with `hidden` equal to `plain`.
        plain: Width of the feed-forward network of the plain Transformer.

    Raises:
        ValueError: If nothing is left for the feed-forward network.

    Source: Dong et al., "FANformer" (arXiv:2502.21309), Table 10; at `dim` 2048 the authors'
        configurations have 7680 in place of 8192, and 7508 with a linear layer as projection.
    """
    options = json.loads(backbone)
    parser, parsed = _parse(options)
    whole = _entries(parser, parsed)
    network = parsed.backbone.init_args.feedforward
    without = copy.deepcopy(options)
    without["init_args"] |= {name: None for name in EXTRAS if name in options["init_args"]}
    without["init_args"]["feedforward"] = _plain_network(network.class_path, options, plain)
    bare = _entries(*_parse(without))
    if whole == bare:
        return plain
    network.init_args.hidden = plain + MULTIPLE
    unit = (_entries(parser, parsed) - whole) / MULTIPLE
    width = MULTIPLE * round((plain - (whole - bare) / unit) / MULTIPLE)
    if width < MULTIPLE:
        raise ValueError(
            f"{RESOLVER}:{plain} leaves nothing for the feed-forward network: what precedes "
            f"attention costs {(whole - bare) / unit:.0f} of its width; give more."
        )
    return width


def _plain_network(named: str, backbone: dict[str, Any], plain: int) -> dict[str, Any]:
    """Returns the feed-forward network of the plain Transformer; `named` is that of a backbone."""
    kind = getattr(locate(named), "plain", None)  # None of a factory that is no class
    if kind is None:
        network: dict[str, Any] = backbone["init_args"]["feedforward"]
        return network
    path = f"{kind.__module__}.{kind.__qualname__}"
    return {"class_path": path, "init_args": {"hidden": plain}}


def _entries(parser: ArgumentParser, parsed: Namespace) -> int:
    """Counts the entries of the matrices of a backbone, which is built without storage."""
    factory = parser.instantiate_classes(parsed).backbone
    with torch.device("meta"):
        built: Backbone = factory()
    return sum(parameter.numel() for parameter in built.parameters() if parameter.ndim == 2)


def _parse(backbone: dict[str, Any]) -> tuple[ArgumentParser, Namespace]:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--backbone", type=BackboneFactory)
    return parser, parser.parse_object({"backbone": backbone})
