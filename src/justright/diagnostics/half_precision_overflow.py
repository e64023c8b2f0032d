"""Signals leave the range of float16: infinities, and then NaN, as soon as the network runs in half precision.

## What it does

Reads from a run in float32 which tensors automatic mixed precision (`torch.autocast`) would hold in float16: what
contractions read and give, and what is computed from such results alone. Norms, exponentials, softmax, sums and losses
run in float32 there and do not count. It then compares their largest magnitude with the largest number of float16,
65504.

## Why is this bad

What lies above becomes infinite, the next difference or quotient of infinities NaN, and the loss with it. A loss scale
does not help: it acts on gradients alone.

## How it is judged

A tensor that exceeds 65504 although nothing that it was computed from does is a warning; tensors that only pass such
values on are counted with it. Less than two binades of headroom (a largest magnitude above 16376) is a note: another
batch, or a few steps of training, may take it over the edge. Masks are fine (minus infinity, the smallest number, 1e9:
values that come from a constant or from what carries no gradient), and so are values that are not finite already, which
are JR401. bfloat16 has the range of float32 and overflows where float32 does. The 8-bit formats (largest 448 in e4m3,
57344 in e5m2) are used with a scale for every tensor, which fits the largest magnitude by design. A model that runs in
float16 already shows its overflow itself (JR401); that is said.

## Example

    power = (x @ cosines) ** 2 + (x @ sines) ** 2        # an amplitude of 300 squared: 90000
    features = torch.log1p(power) @ weight

## Fix

Scale before squaring or summing (`x / x.shape[-1] ** 0.5`), or keep the operation in float32:
`with torch.autocast("cuda", enabled=False): …(x.float())`; or use bfloat16.

## References

[Micikevicius2018], [Goldberg1991]
"""

from __future__ import annotations

from collections.abc import Iterator

from justright.core.coverage import Gap
from justright.core.findings import Evidence, Finding, Severity
from justright.core.formats import headroom
from justright.core.graph import Node, Role
from justright.core.profile import SiteRecord
from justright.diagnostics._precision import HALF, Half, halves
from justright.diagnostics.base import Case, diagnostic

__all__ = ["half_precision_overflow"]

NEAR = 2.0
"""Binades: of normal values, a batch 1000 times as large reaches 1.5 times as far; the rest is for training."""


@diagnostic(
    "JR501",
    "half-precision-overflow",
    rank=15,
    causes=("JR801", "JR306", "JR301", "JR304", "JR307", "JR703", "JR102", "JR401"),
    predicts=True,
)
def half_precision_overflow(case: Case) -> Iterator[Finding | Gap]:
    """Yield a finding for the tensors that first leave the range of float16, or come near its end."""
    already = [record for record in case.profile.sites if record.dtype == HALF.name]
    if already:
        reason = "the network runs in float16 already: what overflowed is infinite, and JR401"
        yield Gap("headroom in float16", reason, len(already), already[0].name)
    held = [half for half in halves(case) if _finite(half.record)]
    over = {half.site for half in held if _room(half.record) < 0}
    first = [half for half in held if half.site in over and not _inherited(case, half.site, over)]
    near = [half for half in held if half.site not in over and _room(half.record) < NEAR]
    if first:
        yield _finding(case, sorted(first, key=lambda half: half.site), len(over), Severity.WARNING)
    elif near and not over:
        first = [half for half in near if not _inherited(case, half.site, {each.site for each in near})]
        yield _finding(case, first or near, len(near), Severity.NOTE)


def _finite(record: SiteRecord) -> bool:
    return record.forward is not None and record.forward.nonfinite == 0 and record.forward.absmax > 0


def _room(record: SiteRecord) -> float:
    """Free binades above the largest magnitude."""
    return headroom(record.forward, HALF)[0] if record.forward else 0.0


def _inherited(case: Case, site: int, over: set[int]) -> bool:
    """Say whether large values came in: from a tensor that has them, or from a mask."""
    node = case.graph.producer(site)
    if node is None:
        return case.graph.sites[site].role not in {Role.INPUT, Role.PARAMETER}
    return any(operand.site in over for operand in node.operands) or _masked(case, node)


def _masked(case: Case, node: Node) -> bool:
    """Say whether a number in the call, or an operand without a gradient that is not the batch, is that large."""
    given = [abs(value) for value in node.attributes.values() if isinstance(value, int | float)]
    sites = [operand.site for operand in node.operands if not case.graph.sites[operand.site].differentiable]
    fixed = [case.record(site) for site in sites if case.graph.sites[site].role is not Role.INPUT]
    given += [record.forward.absmax for record in fixed if record and record.forward]
    return any(not value < HALF.overflow / 2**NEAR for value in given)


def _finding(case: Case, first: list[Half], total: int, severity: Severity) -> Finding:
    worst = first[0]
    value = worst.record.forward
    assert value is not None
    over = severity is Severity.WARNING
    bound = HALF.largest if over else HALF.largest / 2**NEAR
    passed = f"; {total - len(first)} more tensors pass it on" if total > len(first) else ""
    return Finding(
        "JR501",
        "half-precision-overflow",
        severity,
        where=case.place(worst.site) + (f" and {len(first) - 1} more" if len(first) > 1 else ""),
        got=f"magnitudes up to {value.absmax:.3g}, "
        + ("beyond float16's largest number, 65504" if over else "near float16's largest number, 65504"),
        expected=f"magnitudes below {bound:.5g}",
        because=_reason(case, worst) + passed,
        try_="with torch.autocast(device, enabled=False): compute it from x.float(); or dtype=torch.bfloat16; or scale "
        f"it by {HALF.largest / 2**NEAR / value.absmax:.2g} first",
        evidence=(Evidence("largest magnitude", value.absmax, "absolute value", None, bound),),
        sites=tuple(half.record.name for half in first),
    )


def _reason(case: Case, half: Half) -> str:
    node = case.graph.producer(half.site)
    if node is None:
        return f"this {half.record.role} is cast to float16 by the contraction that reads it"
    reads = [record for operand in node.operands if (record := case.record(operand.site)) and record.forward]
    sizes = ", ".join(f"{each.name} up to {each.forward.absmax:.3g}" for each in reads[:2] if each.forward)
    return f"{node.op} makes it" + (f" from {sizes}" if sizes else "")
