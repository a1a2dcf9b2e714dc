"""Attention, FAN layers and Fourier functions on a device, against float64 on the CPU."""

from __future__ import annotations

import copy
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from benchmarks import fanformer, myopic
from benchmarks.cuda.checks import Disagreement, Place, require_close, tolerance
from components import Decoder, FourierHead, Myopic
from components.interfaces import Embedded
from components.layers.fan import FanLayer
from components.layers.key_value import KeyValue
from components.layers.masks import Mask
from components.layers.myopic.fused import separated_attention
from components.layers.myopic.reference import diagonal_attention
from components.supports import Interval, Tokens

NAMES = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}
BACKENDS = (
    SDPBackend.FLASH_ATTENTION,
    SDPBackend.EFFICIENT_ATTENTION,
    SDPBackend.CUDNN_ATTENTION,
)
FUSED = "_Separated"  # in the name of the node of autograd, where the fused form was used


def myopic_kernels(place: Place) -> str:
    """Holds each fused kernel that torch chooses here against the dense form in float64."""
    found, wrong = [], []
    for backend in BACKENDS:
        for dtype in NAMES:
            for causal in (True, False):
                name = f"{backend.name.split('_')[0].lower()}/{NAMES[dtype]}"
                name += "/causal" if causal else "/mask"
                try:
                    away = _kernel(place, backend, dtype, causal)
                except (Disagreement, RuntimeError) as error:
                    wrong.append(f"{name}: {error}")
                else:
                    found += [] if away is None else [f"{name} {away:.1g}"]
    if not found:
        wrong.append("torch chose no fused kernel at all")
    if wrong:
        raise Disagreement("; ".join(wrong + found))
    return f"fused, distance from dense: {', '.join(found)}; others have no kernel in torch here"


def _kernel(place: Place, backend: SDPBackend, dtype: torch.dtype, causal: bool) -> float | None:
    """Returns the largest distance of output and gradients; None where torch has no kernel."""
    shape = place.size((2, 8, 512, 64), (1, 2, 24, 8))
    leaves = [torch.randn(shape, device=place.device, dtype=dtype) for _ in range(3)]
    leaves = [each.clone().requires_grad_() for each in (*leaves, *leaves[1:])]
    direction = torch.randn(shape, device=place.device, dtype=dtype)
    seen = torch.rand(shape[2], shape[2], device=place.device) < 0.5
    seen.fill_diagonal_(True)  # a row that sees nothing has no exact value
    mask = Mask(causal=True) if causal else Mask(seen[None, None])
    with sdpa_kernel([backend, SDPBackend.MATH]):
        choice = _choice(leaves, mask, dtype)
        output = separated_attention(leaves[0], _pair(leaves[1:3]), _pair(leaves[3:]), mask)
        if choice == SDPBackend.MATH.value:
            return None
        if output.grad_fn is None or FUSED not in output.grad_fn.name():
            raise Disagreement("torch has this kernel, and the check of it refused it")
        gradients = torch.autograd.grad(output, leaves, direction)
    wide = [each.detach().cpu().double().requires_grad_() for each in leaves]
    matrix = None if mask.matrix is None else mask.matrix.cpu()
    exact = diagonal_attention(wide[0], _pair(wide[1:3]), _pair(wide[3:]), Mask(matrix, causal))
    slopes = torch.autograd.grad(exact, wide, direction.cpu().double())
    names = ("output", "queries", "own keys", "own values", "past keys", "past values")
    pairs = zip(names, (output, *gradients), (exact, *slopes), strict=True)
    return max(require_close(name, a, b, tolerance(dtype)) for name, a, b in pairs)


def _pair(tensors: list[Tensor]) -> KeyValue:
    return KeyValue(*tensors)


def _choice(leaves: list[Tensor], mask: Mask, dtype: torch.dtype) -> int:
    matrix = mask.matrix
    if matrix is not None:  # as numbers, which is what the fused form gives to torch
        matrix = torch.zeros(matrix.shape, dtype=dtype, device=matrix.device)
    return int(torch._fused_sdp_choice(*leaves[:3], matrix, 0.0, mask.causal))


def myopic_timing(place: Place) -> str:
    """Times attention forward and backward in bfloat16: fused and dense over the ordinary."""
    shape = place.size((4, 16, 2048, 64), (1, 2, 16, 8))
    leaves = [torch.randn(shape, device=place.device, dtype=torch.bfloat16) for _ in range(3)]
    leaves = [each.clone().requires_grad_() for each in (*leaves, *leaves[1:])]
    direction = torch.randn_like(leaves[0])

    def run(attend: myopic.Attend) -> None:
        output = attend(leaves[0], _pair(leaves[1:3]), _pair(leaves[3:]))
        torch.autograd.grad(output, leaves, direction, allow_unused=True)

    attends = (myopic.ordinary, myopic.hidden, myopic.keys, myopic.dense_hidden)
    unit, hidden, keys, dense = place.medians(*(partial(run, each) for each in attends))
    return (
        f"{shape} bf16: ordinary {unit * 1e3:.3g} ms, hidden x{hidden / unit:.3g}, "
        f"keys x{keys / unit:.3g}, dense x{dense / unit:.3g}"
    )


def fourier(place: Place) -> str:
    """Holds likelihoods, gradients, quantiles and samples of Fourier heads against float64."""
    found = []
    for name, make in {
        "density": partial(FourierHead, support=Interval(-1.0, 3.0), frequencies=64),
        "histogram": partial(FourierHead, support=Interval(-1.0, 3.0), frequencies=64, bins=256),
        "categorical": partial(FourierHead, support=Tokens(512), frequencies=64),
    }.items():
        exact = make(dim=64).double()
        nn.init.normal_(exact.projection.weight, std=0.1)
        hidden = torch.randn(place.size(1024, 16), 64, dtype=torch.float64)
        target = torch.rand(len(hidden), dtype=torch.float64) * 4 - 1
        if name == "categorical":
            target = torch.randint(512, (len(hidden),))
        head = copy.deepcopy(exact).float().to(place.device)
        for autocast, most in ((False, 1e-4), (True, 0.1)):
            found.append(_fourier(place, name, (exact, head), (hidden, target), autocast, most))
    return "; ".join(found)


def _fourier(
    place: Place,
    name: str,
    heads: tuple[FourierHead, FourierHead],
    data: tuple[Tensor, Tensor],
    autocast: bool,
    most: float,
) -> str:
    (exact, head), (hidden, target) = heads, data
    mine, there = hidden.float().to(place.device), target.to(place.device)
    with torch.autocast(place.device, torch.bfloat16, enabled=autocast):
        prediction = head(mine)
    found = prediction.log_prob(there.float() if there.is_floating_point() else there)
    wanted = exact(hidden).log_prob(target)
    away = require_close(f"{name}: log_prob", found, wanted, most)
    slopes = torch.autograd.grad(found.mean(), list(head.parameters()))
    right = torch.autograd.grad(wanted.mean(), list(exact.parameters()))
    for slope, value in zip(slopes, right, strict=True):
        away = max(away, require_close(f"{name}: gradient", slope, value, 2 * most))
    with torch.no_grad():
        drawn = prediction.sample((place.size(1024, 512),)).double()
        mean, spread = drawn.mean(0), drawn.std(0) / len(drawn) ** 0.5
        off = ((mean - prediction.mean) / spread.clamp_min(1e-9)).abs().mean().item()
    if not off < 1.2:  # 0.8 where means are normal
        raise Disagreement(f"{name}: samples miss the mean by {off:.2g} standard errors")
    return f"{name}/{'bf16' if autocast else 'fp32'} {away:.1g}"


def fan(place: Place) -> str:
    """Holds the FAN layer against its formula in float64, and times it against that in bf16."""
    dim, rows = place.size((1024, 16_384), (16, 8))
    exact = fanformer.Formula(dim, activation=nn.Identity).double()
    layer = FanLayer(dim, activation=nn.Identity).to(place.device)
    formula = fanformer.Formula(dim, activation=nn.Identity).to(place.device)
    for each in (layer, formula):
        each.load_state_dict(exact.state_dict())
    hidden = torch.randn(min(rows, 1024), dim, dtype=torch.float64, requires_grad=True)
    found = []
    for dtype in NAMES:
        mine = hidden.detach().float().to(place.device).requires_grad_()
        with torch.autocast(place.device, dtype, enabled=dtype != torch.float32):
            output = layer(mine)
        wanted = exact(hidden)
        direction = torch.randn_like(wanted)
        most = tolerance(dtype)
        away = require_close(f"{NAMES[dtype]}: output", output, wanted, most)
        ours = torch.autograd.grad(
            output, [mine, *layer.parameters()], direction.to(output.dtype).to(place.device)
        )
        theirs = torch.autograd.grad(wanted, [hidden, *exact.parameters()], direction)
        for one, other in zip(ours, theirs, strict=True):
            away = max(away, require_close(f"{NAMES[dtype]}: gradient", one, other, most))
        found.append(f"{NAMES[dtype]} {away:.1g}")
    states = torch.randn(rows, dim, device=place.device, requires_grad=True)

    def step(module: nn.Module) -> None:
        with torch.autocast(place.device, torch.bfloat16):
            output = module(states)
        torch.autograd.grad(output, list(module.parameters()), torch.ones_like(output))

    mine, theirs = place.medians(partial(step, layer), partial(step, formula))
    return f"distance {', '.join(found)}; bf16 time over formula {mine / theirs:.3g}"


def compiled(place: Place) -> str:
    """Holds compiled blocks of FANformer, ordinary and myopic, against plain ones in bf16."""
    dim, depth, heads, batch, length = place.size((1024, 4, 16, 8, 1024), (16, 1, 2, 2, 8))
    found = []
    variants = {"plain": None, "myopic": Myopic}
    for name in place.size(tuple(variants), ("myopic",)):
        operator = {} if variants[name] is None else {"attention": variants[name]}
        projection = partial(FanLayer, activation=nn.Identity)
        eager = Decoder(dim, depth, heads, projection=projection, **operator).to(place.device)
        faster = copy.deepcopy(eager)
        for block in faster.blocks:
            block.compile(backend=place.size("inductor", "eager"))
        states = torch.randn(batch, length, dim, device=place.device, requires_grad=True)
        direction = torch.randn_like(states)  # the norm of the output does not change

        def step(
            decoder: Decoder, states: Tensor = states, direction: Tensor = direction
        ) -> list[Tensor]:
            with torch.autocast(place.device, torch.bfloat16):
                output = decoder(Embedded(states))
            leaves = [states, *decoder.parameters()]
            slopes = torch.autograd.grad(output, leaves, direction.to(output.dtype))
            return [output, *slopes]

        pairs = zip(step(faster), step(eager), strict=True)
        away = max(require_close(name, one, other, 0.1) for one, other in pairs)
        mine, theirs = place.medians(partial(step, faster), partial(step, eager))
        found.append(f"{name}: distance {away:.1g}, time over eager {mine / theirs:.3g}")
    return "; ".join(found)
