"""The options of the verb `prune`, and what does not go together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from framework.checkpoints import read
from framework.console.checkpoint_options import parse
from framework.console.errors import UserError
from framework.papers.token_encoding.pruning.deletion import require_budget
from framework.papers.token_encoding.pruning.saliency import PAPER, ROTATED, SALIENCIES
from framework.papers.token_encoding.readout_data import SPLITS, encoding_parser

DESCRIPTION = (
    "Deletes dimensions of a read-out: CHECKPOINT NEW --fraction 0.3 writes the model to NEW, "
    "CHECKPOINT alone tells what every order costs, random ones beside. Checkpoints come first, "
    "then options."
)
AMOUNTS = ("fraction", "kl_budget", "js_budget")
MEASURED = 2048  # contexts that costs are measured in, by default


def parse_options(path: str | None, words: list[str], prog: str) -> Any:
    """Parses the options; see `asking.parse`."""
    parser = encoding_parser(f"{prog} prune", DESCRIPTION)
    parser.add_argument(
        "--saliency", choices=SALIENCIES, default=PAPER, help="Which dimensions go first."
    )
    parser.add_argument("--seed", type=int, default=0, help="Of the saliency random.")
    amounts = (
        "Share of the dimensions to delete.",
        "Delete as many as cost so many nats of KL on held-out text.",
        "The same in nats of Jensen-Shannon divergence.",
    )
    for name, said in zip(AMOUNTS, amounts, strict=True):
        parser.add_argument(f"--{name}", type=float | None, default=None, help=said)
    parser.add_argument(
        "--fold",
        type=bool,
        default=False,
        help="Put the mean in place of what is deleted, by a constant of each token.",
    )
    parser.add_argument(
        "--physical",
        type=bool,
        default=False,
        help="Make the matrix narrower (PrunedHead), not set columns to zero.",
    )
    parser.add_argument(
        "--untie", type=bool, default=False, help="Give a tied read-out a matrix of its own."
    )
    parser.add_argument(
        "--held_out", choices=SPLITS, default="val", help="Where costs are measured."
    )
    parser.add_argument(
        "--measured", type=int, default=MEASURED, help="In how many of its contexts."
    )
    return parse(parser, path, words)


def check_options(source: str, target: Path | None, given: Any) -> None:
    """Refuses, before anything is computed, what would be refused in the end."""
    tied = read(source).get("hyper_parameters", {}).get("tied")
    amounts = {name: value for name in AMOUNTS if (value := getattr(given, name)) is not None}
    check_splits({} if given.statistics else {"split": given.split}, given)
    if given.measured < 1:
        raise UserError(f"--measured {given.measured} holds no context; use at least 1.")
    if target is None:
        if amounts:
            raise UserError(
                f"--{next(iter(amounts))} says how much to delete, but nothing where to write it; "
                "name the new checkpoint behind the old one."
            )
        return
    if len(amounts) != 1:
        raise UserError(
            f"prune needs one of --fraction, --kl_budget and --js_budget, got {len(amounts)}; "
            "give one."
        )
    [(name, amount)] = amounts.items()
    if name != "fraction":
        require_budget(name, amount)
    if given.physical and given.saliency == ROTATED:
        raise UserError(
            "Saliency rotated deletes directions across dimensions, so that every dimension is "
            "still read; drop --physical true, or choose another saliency."
        )
    if target.exists():
        raise UserError(f"{target} exists already; choose another name, or remove it.")
    if tied and not given.untie:
        raise UserError(
            f"The checkpoint {source!r} reads out with the vectors of its embedding, which would "
            "change too; add --untie true to give the read-out a matrix of its own."
        )


def check_splits(provenance: Mapping[str, str], given: Any) -> None:
    """Refuses to measure in the text that the order is made from."""
    if provenance.get("split") == given.held_out:
        raise UserError(
            f"--held_out {given.held_out} is the split that the order is made from; choose "
            "another."
        )
