"""Laws of backbones: causality, padding, caches and gradients."""

from __future__ import annotations

from collections.abc import Callable

import torch

from components.interfaces import Backbone, Embedded

BATCH, SIZE, CONTEXT = 3, 6, 5
CHUNKS = ((1,) * SIZE, (3, 1, 2))  # sizes in which a cache is filled
Build = Callable[[], Backbone]


def built(build: Build, dtype: torch.dtype = torch.float64) -> Backbone:
    """Builds a backbone with weights that are not tiny, so that every path matters."""
    torch.manual_seed(0)
    backbone = build()
    for parameter in backbone.parameters():
        if parameter.dim() == 2:
            torch.nn.init.normal_(parameter, std=0.3)
    return backbone.to(dtype).eval()


def inputs(
    backbone: Backbone,
    context: bool = False,
    padded: bool = False,
    dtype: torch.dtype = torch.float64,
) -> Embedded:
    """Draws three examples of six positions, left-padded by 0, 2 and 4 of them if asked.

    Of the context, with five positions, the first example lacks one and the last one all.
    """
    torch.manual_seed(1)
    states = torch.randn(BATCH, SIZE, backbone.input_dim, dtype=dtype)
    around = torch.randn(BATCH, CONTEXT, backbone.input_dim, dtype=dtype)
    mask = torch.arange(SIZE) >= torch.tensor([[0], [2], [4]])
    context_mask = torch.arange(CONTEXT) >= torch.tensor([[1], [0], [5]])
    return Embedded(
        states,
        mask if padded else None,
        around if context else None,
        context_mask if padded and context else None,
    )


def depends_on_no_later_state(build: Build, context: bool = False) -> None:
    """The gradient of a hidden state is zero at later states, and is not at its own."""
    backbone = built(build)
    for padded in (False, True):
        given = inputs(backbone, context, padded)
        states = given.states.requires_grad_()
        hidden = backbone(given._replace(states=states))
        for s in range(SIZE):
            loss = hidden[:, s].square().sum()
            (gradient,) = torch.autograd.grad(loss, states, retain_graph=True)
            assert not gradient[:, s + 1 :].any(), f"position {s} sees a later one"
            assert gradient[:, s].abs().sum(-1).min() > 0, f"position {s} does not see itself"


def a_growing_cache_equals_one_call(build: Build, context: bool = False) -> None:
    """States given one by one or in chunks lead to the hidden states of a single call."""
    backbone = built(build)
    for padded in (False, True):
        given = inputs(backbone, context, padded)
        with torch.no_grad():
            whole = backbone(given)
        for chunks in CHUNKS:
            grown = _in_chunks(backbone, given, chunks)
            torch.testing.assert_close(grown, whole, rtol=0, atol=1e-10)


def _in_chunks(backbone: Backbone, given: Embedded, chunks: tuple[int, ...]) -> torch.Tensor:
    cache, start, parts = backbone.new_cache(BATCH, CONTEXT + SIZE), 0, []
    for size in chunks:
        part = given if start == 0 else Embedded(given.states)
        window = slice(start, start + size)
        mask = None if given.mask is None else given.mask[:, window]
        part = part._replace(states=given.states[:, window], mask=mask)
        with torch.no_grad():
            parts.append(backbone(part, cache))
        start += size
    return torch.cat(parts, 1)


def a_repeated_cache_continues_each_example(build: Build, context: bool = False) -> None:
    """`cache.repeat` lets several samples continue one example, as if each were alone."""
    backbone, samples = built(build), 4
    given = inputs(backbone, context, padded=True)
    new = torch.randn(BATCH * samples, 2, backbone.input_dim, dtype=torch.float64)
    with torch.no_grad():
        cache = backbone.new_cache(BATCH, CONTEXT + SIZE + 2)
        backbone(given, cache)
        repeated = cache.repeat(samples)
        sampled = [backbone(Embedded(new[:, i : i + 1]), repeated) for i in (0, 1)]
        each = [None if part is None else part.repeat_interleave(samples, 0) for part in given]
        assert each[0] is not None
        assert each[1] is not None
        states = torch.cat((each[0], new), 1)
        mask = torch.cat((each[1], torch.ones(BATCH * samples, 2, dtype=torch.bool)), 1)
        whole = backbone(Embedded(states, mask, *each[2:]))
    torch.testing.assert_close(torch.cat(sampled, 1), whole[:, SIZE:], rtol=0, atol=1e-10)


def padding_changes_nothing(build: Build, context: bool = False) -> None:
    """An example alone has the hidden states that it has beside longer ones."""
    backbone = built(build)
    given = inputs(backbone, context, padded=True)
    assert given.mask is not None
    noisy = given._replace(states=given.states.masked_fill(~given.mask[..., None], 1e3))
    with torch.no_grad():
        together, again = backbone(given), backbone(noisy)
        for example in range(BATCH):
            keep = given.mask[example]
            alone = backbone(_alone(given, example))[0]
            torch.testing.assert_close(together[example, keep], alone, rtol=0, atol=1e-10)
            torch.testing.assert_close(together[example, keep], again[example, keep])


def _alone(given: Embedded, example: int) -> Embedded:
    assert given.mask is not None
    states = given.states[example, given.mask[example]][None]
    if given.context is None or given.context_mask is None:
        return Embedded(states)
    around, seen = given.context[example], given.context_mask[example]
    if seen.any():
        return Embedded(states, context=around[seen][None])
    return Embedded(states, context=around[None], context_mask=seen[None])  # that it has none


def documents_are_apart(build: Build, context: bool = False) -> None:
    """In a packed window each document has the hidden states that it has alone."""
    backbone = built(build)
    if context or not backbone.separates:
        return
    given = inputs(backbone)
    documents = torch.tensor([[0, 0, 0, 1, 1, 1], [4, 5, 5, 5, 5, 6], [2, 2, 2, 2, 2, 2]])
    with torch.no_grad():
        together = backbone(given._replace(documents=documents))
        for example, numbers in enumerate(documents):
            for number in numbers.unique():
                place = numbers == number
                alone = backbone(Embedded(given.states[example : example + 1, place]))
                torch.testing.assert_close(together[example, place], alone[0])


def is_finite_where_nothing_is_seen(build: Build, context: bool = False) -> None:
    """Masks without a single position give finite hidden states and gradients."""
    backbone = built(build)
    given = inputs(backbone, context)
    unseen = torch.zeros(BATCH, CONTEXT, dtype=torch.bool) if context else None
    given = given._replace(mask=torch.zeros(BATCH, SIZE, dtype=torch.bool), context_mask=unseen)
    hidden = backbone(given)
    hidden.sum().backward()
    assert hidden.isfinite().all()
    for name, parameter in backbone.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), name


def gradients_reach_every_parameter(build: Build, context: bool = False) -> None:
    """No parameter is without use."""
    backbone = built(build)
    backbone(inputs(backbone, context, padded=True)).square().sum().backward()
    silent = [n for n, p in backbone.named_parameters() if p.grad is None or not p.grad.any()]
    assert not silent, f"no gradient reaches {', '.join(silent)}"


def stays_close_under_bfloat16(build: Build, context: bool = False) -> None:
    """Autocast to bfloat16 changes hidden states by less than 5 percent on average."""
    backbone = built(build, torch.float32)
    given = inputs(backbone, context, padded=True, dtype=torch.float32)
    exact = backbone(given)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = backbone(given).float()
        rounded.square().sum().backward()
    assert (rounded - exact).abs().mean() < 0.05 * exact.abs().mean()


def sees_all_before_and_all_context(build: Build, context: bool = True) -> None:
    """A hidden state depends on every earlier state and on every position of the context."""
    backbone = built(build)
    given = inputs(backbone, context)
    assert given.context is not None
    states, around = given.states.requires_grad_(), given.context.requires_grad_()
    hidden = backbone(given._replace(states=states, context=around))
    for s in range(SIZE):
        loss = hidden[:, s].square().sum()
        before, context_gradient = torch.autograd.grad(loss, (states, around), retain_graph=True)
        assert before[:, : s + 1].abs().sum(-1).min() > 0
        assert context_gradient.abs().sum(-1).min() > 0


BACKBONE_LAWS = (
    depends_on_no_later_state,
    a_growing_cache_equals_one_call,
    a_repeated_cache_continues_each_example,
    padding_changes_nothing,
    documents_are_apart,
    is_finite_where_nothing_is_seen,
    gradients_reach_every_parameter,
    stays_close_under_bfloat16,
)
"""Each takes what builds a backbone, and whether it is given a context."""

CONTEXT_LAWS = (sees_all_before_and_all_context,)
"""Of backbones that read everything before a position, and a context."""
