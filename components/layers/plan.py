"""Plans of tensor parallelism: how several processes divide the work of a module among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class TensorPlan:
    r"""Says which parameters of a module processes divide, and where they sum results.

    What goes into the module is whole in each process, and so is what comes out. In between each
    process computes its share: some of the heads, or some of the hidden units.

    .. math:: W_{out} f(W_{in} x) = \sum_{\text{processes } p} W_{out}^{(p)} f(W_{in}^{(p)} x)

    where :math:`W_{in}^{(p)}` are rows and :math:`W_{out}^{(p)}` are columns.

    Args:
        rows: Parameters divided by rows, by name; and of how many parts of equal size, behind one
            another, they consist. Each part is divided, such as keys and values in one matrix.
        columns: Matrices divided by columns.
        shared: Parameters that each process uses for its share alone, so that their gradient is a
            sum over processes.
        entries: Modules whose output is where the shares begin.
        exits: Linear maps whose output is summed over processes.

    Source: Shoeybi et al., "Megatron-LM" (arXiv:1909.08053), section 3.
    """

    rows: Mapping[str, int] = field(default_factory=dict)
    columns: frozenset[str] = frozenset()
    shared: frozenset[str] = frozenset()
    entries: frozenset[str] = frozenset()
    exits: frozenset[str] = frozenset()

    def within(self, name: str) -> TensorPlan:
        """Returns the plan of a module that holds this one as its part `name`."""

        def prefixed(names: frozenset[str]) -> frozenset[str]:
            return frozenset(f"{name}.{own}" for own in names)

        return TensorPlan(
            {f"{name}.{own}": parts for own, parts in self.rows.items()},
            *map(prefixed, (self.columns, self.shared, self.entries, self.exits)),
        )

    def __or__(self, other: TensorPlan) -> TensorPlan:
        """Joins the plans of two parts of a module."""
        return TensorPlan(
            {**self.rows, **other.rows},
            self.columns | other.columns,
            self.shared | other.shared,
            self.entries | other.entries,
            self.exits | other.exits,
        )


def require_divisible(owner: str, processes: int, **sizes: int) -> None:
    """Checks that sizes can be divided among processes.

    Args:
        owner: Whose sizes they are, for the message.
        processes: Number of processes.
        sizes: The sizes, by the names of their options.

    Raises:
        ValueError: If one is no multiple of `processes`.

    Example:
        >>> require_divisible("Attention", 2, heads=4)
    """
    for name, size in sizes.items():
        if size % processes:
            raise ValueError(
                f"{owner}: {name}={size} is not divisible by tensor_parallel_size={processes}; "
                f"choose a size that divides {name}."
            )
