"""Names of tensors: which modules of a published model are which of ours."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from framework.exchange.formats import Shape, TensorMap

OURS = "backbone.blocks."
Modules = str | tuple[str, ...]


@dataclass(frozen=True)
class Names:
    """Modules by name, theirs first; several on one side are stacked to those on the other.

    Args:
        prefix: What the names of all but the read-out start with; files of a model that was saved
            without its read-out lack it.
        whole: Modules outside the blocks.
        block: What the names in a block start with, with `{}` for its number.
        parts: Modules of a block.
        readout: The read-out, and other names that it has in files.
        transposed: Whether matrices in blocks are the transposes of ours.
        then: Further stacks of as many blocks, behind ours: what their names start with, and the
            modules of a block.
        copies: Names of tensors that repeat the first of `whole`, which files may have.
        first: How many rows of that one come first, and last in ours.
        by_head: Whether what they stack in one matrix is stacked head by head.
        constants: A pattern for the ends of names of tensors that are no parameters; older files
            have them.
    """

    prefix: str
    whole: Mapping[str, str]
    block: str
    parts: Mapping[Modules, Modules]
    readout: tuple[str, ...] = ("lm_head",)
    transposed: bool = False
    then: tuple[tuple[str, Mapping[Modules, Modules]], ...] = ()
    copies: tuple[str, ...] = ()
    first: int = 0
    by_head: bool = False
    constants: str = field(default=r"rotary_emb\.inv_freq$")

    def start(self, names: Collection[str]) -> str:
        """Returns the prefix, or nothing where no name starts with it."""
        has = not names or any(name.startswith(self.prefix) for name in names)
        return self.prefix if has else ""

    def head(self, names: Collection[str]) -> str:
        """Returns the name of the read-out."""
        found = (one for one in self.readout if f"{one}.weight" in names)
        return next(found, self.readout[0])

    def table(self, names: Collection[str]) -> str:
        """Returns the name of the embedding."""
        return self.start(names) + next(iter(self.whole))

    def is_constant(self, name: str) -> bool:
        """Returns whether a tensor is no parameter."""
        return re.search(self.constants, name) is not None

    def maps(
        self, shapes: Mapping[str, Shape], depth: int, heads: int, names: Collection[str]
    ) -> list[TensorMap]:
        """Lists which of their tensors are which of ours.

        Args:
            shapes: Shapes of all of our parameters, by name.
            depth: Number of blocks.
            heads: Number of heads.
            names: Their names in a file; the usual ones if empty.
        """
        start = self.start(names)
        blocks = [
            (start + block.format(i), f"{OURS}{depth * stack + i}.", parts)
            for stack, (block, parts) in enumerate(((self.block, self.parts), *self.then))
            for i in range(depth)
        ]
        rows: list[tuple[Modules, Modules, bool]] = [
            *((start + theirs, ours, False) for theirs, ours in self.whole.items()),
            *(
                (_within(there, theirs), _within(here, ours), True)
                for there, here, parts in blocks
                for theirs, ours in parts.items()
            ),
            (self.head(names), "head.projection", False),
        ]
        table, *others = [one for row in rows for one in self._row(*row, shapes, heads)]
        return [replace(table, first=self.first), *others]

    def _row(
        self,
        theirs: Modules,
        ours: Modules,
        inside: bool,
        shapes: Mapping[str, Shape],
        heads: int,
    ) -> Iterator[TensorMap]:
        left, right = _tuple(theirs), _tuple(ours)
        for kind in ("weight", "bias"):
            mine = {name: shapes[name] for one in right if (name := f"{one}.{kind}") in shapes}
            if not mine:
                continue
            flipped = self.transposed and inside and len(next(iter(mine.values()))) == 2
            rows, *rest = next(iter(mine.values()))
            rows = sum(shape[0] for shape in mine.values()) // len(left)
            shape = (*rest, rows) if flipped else (rows, *rest)
            groups = heads if self.by_head and len(right) > 1 else None
            found = {f"{one}.{kind}": shape for one in left}
            yield TensorMap(found, mine, transposed=flipped, heads=groups)


def _within(start: str, modules: Modules) -> Modules:
    return tuple(start + one for one in _tuple(modules))


def _tuple(modules: Modules) -> tuple[str, ...]:
    return (modules,) if isinstance(modules, str) else modules
