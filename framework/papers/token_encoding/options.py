"""Options of the verbs `probe`, `edit` and `prune`, and which of them exclude each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from framework.console.checkpoint_options import (
    HELP,
    CheckpointOptions,
    Options,
    leading,
    parse_options,
)
from framework.console.errors import UserError
from framework.console.opened_checkpoint import OpenedCheckpoint
from framework.console.outputs import require_new
from framework.data.protocols import CountsTokens
from framework.data.tokens.corpora import Corpus
from framework.papers.token_encoding.editing.directions import DirectionName
from framework.papers.token_encoding.pruning.deletion import require_budget, require_share
from framework.papers.token_encoding.pruning.saliency import ROTATED, SaliencyName
from framework.papers.token_encoding.rewriting import EDITS
from framework.papers.token_encoding.statistics import CONTEXTS

SplitName = Literal["train", "val", "test"]


@dataclass(frozen=True)
class EncodingOptions(CheckpointOptions):
    """Options that probe, edit and prune share.

    Args:
        split: Split whose contexts statistics are gathered in.
        contexts: How many contexts are kept, to compute edits on.
        statistics: File of statistics that `probe` wrote, to read instead of gathering them again.
    """

    LEAST: ClassVar[Mapping[str, float]] = {**CheckpointOptions.LEAST, "contexts": 1}

    sequences: int | None = 512
    split: SplitName = "train"
    contexts: int = CONTEXTS
    statistics: str | None = None

    @property
    def vocabulary_size(self) -> int | None:
        """Number of tokens that can occur, None if all can; others fill up the matrix."""
        return self.data.vocabulary_size if isinstance(self.data, CountsTokens) else None


@dataclass(frozen=True)
class ProbeOptions(EncodingOptions):
    """Options of probe.

    Args:
        target: Quantity to regress on the rows; geometric is the self-test alone.
        ridge: Penalty of the slope, at least 0; 1 is strong.
        folds: Parts of the tokens for cross-validation, at least 2.
        untrained: Examples that a model of random weights reads, as a control; 0 for no such
            model.
    """

    LEAST: ClassVar[Mapping[str, float]] = {
        **EncodingOptions.LEAST,
        **{"ridge": 0, "folds": 2, "untrained": 0},
    }

    target: Literal["all", "alpha", "frequency", "geometric"] = "all"
    ridge: float = 0.0
    folds: int = 5
    untrained: int = 64


@dataclass(frozen=True)
class EditOptions(EncodingOptions):
    """Options of edit.

    Args:
        tokens: Scale factors of averaged probabilities, by the text of the token.
        ids: Scale factors by the id of the token.
        direction: Direction in which rows move.
        calibrate: Solve for the size of the edit on the contexts of the statistics.
        untie: Give a tied read-out a matrix of its own.
        stack: Edit a checkpoint that was edited already; scale factors multiply.
        held_out: Split in which the edit is checked.
        other: Another corpus in which the edit is checked.
    """

    tokens: dict[str, float] | None = None
    ids: dict[int, float] | None = None
    direction: DirectionName = "whiten"
    calibrate: bool = True
    untie: bool = False
    stack: bool = False
    held_out: SplitName = "val"
    other: Corpus | None = None

    def check(self, checkpoint: OpenedCheckpoint, target: Path | None, edits: bool) -> None:
        """Refuses what would fail later, before anything is computed.

        Args:
            checkpoint: The checkpoint.
            target: The new one, if one is to be written.
            edits: Whether a token is to be edited.

        Raises:
            UserError: If options exclude each other, or the file cannot be written.
        """
        if self.statistics is None and self.split == self.held_out:
            raise UserError(
                f"--held_out {self.held_out} is the split that the edit is fitted to; choose "
                "another."
            )
        if target is None:
            return
        if not edits:
            raise UserError(f"There is nothing to change in {target}; add --tokens or --ids.")
        require_new(target)
        edited = any(note.get("verb") == "edit" for note in checkpoint.contents.get(EDITS, []))
        if edited and not self.stack:
            raise UserError(
                f"The checkpoint {str(checkpoint.path)!r} was edited before, and scales would "
                "multiply; edit the one that it came from, or add --stack true."
            )
        _require_untied(checkpoint, self.untie)


@dataclass(frozen=True)
class PruneOptions(EncodingOptions):
    """Options of prune.

    Args:
        saliency: Score by which dimensions are deleted, the lowest first.
        seed: Seed of the saliency random.
        fraction: Share of the dimensions to delete.
        kl_budget: Delete as many as cost so many nats of KL on held-out text.
        js_budget: Delete as many as cost so many nats of Jensen-Shannon divergence.
        fold: Replace what is deleted by its mean, which is a constant of each token.
        physical: Make the matrix narrower (PrunedHead) instead of setting columns to zero.
        untie: Give a tied read-out a matrix of its own.
        held_out: Split in which costs are measured.
        measured: Number of contexts in which costs are measured.
    """

    saliency: SaliencyName = "absA_sd"
    seed: int = 0
    fraction: float | None = None
    kl_budget: float | None = None
    js_budget: float | None = None
    fold: bool = False
    physical: bool = False
    untie: bool = False
    held_out: SplitName = "val"
    measured: int = 2048

    @property
    def amounts(self) -> dict[str, float | None]:
        """The options of which one sets how much to delete, by name."""
        return {
            "fraction": self.fraction,
            "kl_budget": self.kl_budget,
            "js_budget": self.js_budget,
        }

    def check(self, checkpoint: OpenedCheckpoint, target: Path | None) -> None:
        """Refuses what would fail later, before anything is computed.

        Args:
            checkpoint: The checkpoint.
            target: The new one, if one is to be written.

        Raises:
            UserError: If options exclude each other, or the file cannot be written.
            ValueError: If a budget is not positive, or a fraction out of its range.
        """
        self.check_splits({} if self.statistics else {"split": self.split})
        if self.measured < 1:
            raise UserError(f"--measured {self.measured} holds no context; use at least 1.")
        given = {name: amount for name, amount in self.amounts.items() if amount is not None}
        if target is None:
            if given:
                raise UserError(
                    f"--{next(iter(given))} deletes dimensions, but there is no file to write; "
                    "name the new checkpoint after the old one."
                )
            return
        if len(given) != 1:
            raise UserError(
                f"prune needs one of --fraction, --kl_budget and --js_budget, got {len(given)}; "
                "give one."
            )
        [(name, amount)] = given.items()
        if name == "fraction":
            require_share(amount)
        else:
            require_budget(name, amount)
        if self.physical and self.saliency == ROTATED:
            raise UserError(
                "Saliency rotated deletes directions across dimensions, so that every dimension "
                "is still read; drop --physical true, or choose another saliency."
            )
        require_new(target)
        _require_untied(checkpoint, self.untie)

    def check_splits(self, provenance: Mapping[str, str]) -> None:
        """Refuses to measure costs in the text that the order is computed from.

        Raises:
            UserError: If `provenance` names the held-out split.
        """
        if provenance.get("split") == self.held_out:
            raise UserError(
                f"--held_out {self.held_out} is the split that the order is computed from; choose "
                "another."
            )


def parse_rewriting(
    kind: type[Options], words: Sequence[str], command: str, description: str, example: str
) -> tuple[OpenedCheckpoint, Path | None, Options]:
    """Parses `CHECKPOINT [NEW] [--OPTION VALUE ...]`.

    Args:
        kind: The dataclass of options.
        words: What follows the verb on the command line.
        command: The command with its verb.
        description: What the verb does.
        example: How to write it, for the error.

    Returns:
        The checkpoint, the file to write if there is one, and the options.

    Raises:
        UserError: If an option is wrong, or there are too few paths or too many.
    """
    paths, flags = leading(words)
    if not 1 <= len(paths) <= 2 and not HELP & set(flags):
        raise UserError(
            f"{command.split()[-1]} takes a checkpoint and the name of a new one, got "
            f"{len(paths)} of them; write {example}."
        )
    checkpoint = OpenedCheckpoint(Path(paths[0])) if paths else None
    options = parse_options(kind, command, description, checkpoint, flags)
    assert checkpoint is not None  # help has ended the process
    return checkpoint, Path(paths[1]) if len(paths) == 2 else None, options


def _require_untied(checkpoint: OpenedCheckpoint, untie: bool) -> None:
    if checkpoint.tied and not untie:
        raise UserError(
            f"The checkpoint {str(checkpoint.path)!r} reads out with the vectors of its "
            "embedding, which would change too; add --untie true to give the read-out a matrix of "
            "its own."
        )
