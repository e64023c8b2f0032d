"""Laws of the pointwise operators; every entry of the catalogue must keep them, a new one as soon as it is registered.

The oracles are PyTorch's own functions and gradients, differences of the function, and bisection.
"""

from __future__ import annotations

import inspect
from functools import partial

import numpy as np
import pytest

from justright.core.vocabulary import KINDS, Kind
from justright.ops.base import LEFT_OUT, OPERATORS
from justright.ops.zones import zones

torch = pytest.importorskip("torch")

NAMES = tuple(OPERATORS)
ACTIVATIONS = tuple(name for name in NAMES if OPERATORS[name].required == {"input"})
ATEN = {
    "absolute": "abs",
    "divide": "div",
    "log_ndtr": "special_log_ndtr",
    "multiply": "mul",
    "negative": "neg",
    "power": "pow",
    "reverse_subtract": "rsub",
    "subtract": "sub",
}
FUNCTIONAL = {"tanhshrink", "softsign"}
ABSENT = {"square_difference": lambda input, other: (input - other) ** 2}
VARIANTS = {  # attributes beside the defaults, and values for the required ones that are numbers only
    "add": [{"alpha": -0.7}],
    "subtract": [{"alpha": 2.5}],
    "reverse_subtract": [{"alpha": 2.5}],
    "divide": [{"rounding_mode": "floor"}, {"rounding_mode": "trunc"}],
    "addcmul": [{"value": -2}],
    "addcdiv": [{"value": 0.5}],
    "gelu": [{"approximate": "tanh"}],
    "softplus": [{"beta": 3, "threshold": 2}],
    "elu": [{"alpha": 0.3}, {"alpha": 2.0, "scale": 0.7, "input_scale": 0.5}],
    "celu": [{"alpha": 0.4}],
    "leaky_relu": [{"negative_slope": 0.3}, {"negative_slope": 1.0}],
    "hardtanh": [{"min_val": -2, "max_val": 0.5}],
    "threshold": [{"threshold": 0.3, "value": -1.5}],
    "softshrink": [{"lambd": 1.25}, {"lambd": 0}],
    "hardshrink": [{"lambd": 1.25}, {"lambd": 0}],
    "clamp": [{"min": -1.0, "max": 0.5}, {"min": 0.25}, {"max": 0.0}, {"min": 1.0, "max": -1.0}],
    "logit": [{"eps": 0.1}],
    "round": [{"decimals": 1}],
    "nan_to_num": [{"nan": 2.0, "posinf": 3.0}],
    "power": [{"exponent": 2}, {"exponent": 3.0}, {"exponent": 0.5}, {"exponent": -1}, {"exponent": 0}],
    "prelu": [{"weight": 0.25}],
    "clamp_min": [{"min": -0.5}],
    "clamp_max": [{"max": 0.75}],
}
MASKS = ("condition", "mask")
NEEDS_ATTRIBUTES = {"threshold", "clamp"}  # PyTorch has no call of these with tensors alone
NO_BACKWARD = {"floor_divide"}
SINGLE = {"hardsigmoid", "celu"}  # PyTorch's backward pass rounds 1/6 and 1/alpha to float32
CASES = [
    pytest.param(name, attributes, id=f"{name}-{attributes}")
    for name in NAMES
    for attributes in ([] if name in NEEDS_ATTRIBUTES else [{}]) + VARIANTS.get(name, [])
]
SPOTS = np.array([-3.3, -2.2, -1.7, -0.9, -0.7, -0.33, -0.07, 0.04, 0.17, 0.41, 0.57, 0.83, 1.4, 2.3, 3.7])


def arguments(name, attributes, spots=SPOTS, seed=0):
    """Give every required argument that no attribute fixes an array of its own."""
    rng = np.random.default_rng(seed)
    made = {"input": spots}
    for argument in sorted(OPERATORS[name].required - attributes.keys() - {"input"}):
        drawn = rng.uniform(0.15, 2.5, spots.shape) * rng.choice([-1.0, 1.0], spots.shape)
        made[argument] = drawn > 0 if argument in MASKS else drawn
    return {**made, **attributes}


def torch_call(name, given):
    """Call PyTorch's function of the same name by the argument names of the overload that takes these types."""
    if name in FUNCTIONAL:
        return getattr(torch.nn.functional, name)(**given)
    packet = getattr(torch.ops.aten, ATEN.get(name, name))
    named = {"self" if key == "input" else key: value for key, value in given.items()}
    for overload in packet.overloads():
        types = {each.name: str(each.type) for each in getattr(packet, overload)._schema.arguments}
        fits = [("Tensor" in types.get(key, "")) == torch.is_tensor(value) for key, value in named.items()]
        if all(fits) and named.keys() <= types.keys() and "out" not in types:
            return getattr(packet, overload)(**named)
    raise LookupError(f"no overload of {packet} takes {sorted(named)}")


def evaluate_in_torch(name, given):
    """Return the value in PyTorch, and the float64 tensors it was computed from, by argument."""
    tensors = {
        key: torch.tensor(value, requires_grad=value.dtype != bool) if isinstance(value, np.ndarray) else value
        for key, value in given.items()
    }
    if name == "masked_fill":  # takes one value for all elements only
        value = torch.where(tensors["mask"], tensors["value"], tensors["input"])
    elif name == "prelu":  # takes one weight a channel
        weight = torch.as_tensor(tensors["weight"], dtype=torch.float64).reshape(-1)
        value = torch_call(name, {"input": tensors["input"][None, :], "weight": weight})[0]
    else:
        value = torch_call(name, tensors)
    return value, {key: each for key, each in tensors.items() if torch.is_tensor(each) and each.requires_grad}


def partial_of(name, argument, given):
    value = OPERATORS[name].phi(**given)
    return np.broadcast_to(OPERATORS[name].partials[argument](**given), value.shape)


def jumps(name, attributes, low, high):
    """Say whether the value or the slope changes between two near points by more than a smooth function can."""
    entry = OPERATORS[name]
    given = {**attributes, "input": np.stack([low, high])}
    value = entry.phi(**given)
    slope = np.broadcast_to(entry.partials["input"](**given), value.shape)
    with np.errstate(invalid="ignore"):
        rise = np.abs(value[1] - value[0] - slope.mean(0) * (high - low))
        bend = np.abs(slope[1] - slope[0])
    # At a pole the slope is beyond 1/(high - low); a smooth one stays far below it.
    steep = np.abs(slope).max(0) > 1e5
    return (rise > 1e-10) | (bend > 1e-10) | steep | ~np.isfinite(value).all(0) | ~np.isfinite(slope).all(0)


def scalar_attributes(name, attributes):
    """Give every required argument a number."""
    fixed = {"other": 0.7, "exponent": 2.5, "end": 0.3, "weight": 0.4, "tensor1": 1.3, "tensor2": -0.6}
    fixed |= {"condition": True, "mask": False, "value": 0.2, "min": -0.4, "max": 0.9}
    needed = OPERATORS[name].required - {"input"}
    return {key: value for key, value in fixed.items() if key in needed} | attributes


def test_every_pointwise_name_has_an_entry_or_a_reason():
    pointwise = {name for name, kind in KINDS.items() if kind is Kind.POINTWISE}
    assert set(NAMES) | set(LEFT_OUT) == pointwise
    assert not set(NAMES) & set(LEFT_OUT)


@pytest.mark.parametrize(("name", "attributes"), CASES)
def test_value_is_the_frameworks(name, attributes):
    given = arguments(name, attributes)
    ours = OPERATORS[name].phi(**given)
    if name in ABSENT:
        assert np.array_equal(ours, ABSENT[name](**given))
        return
    theirs = evaluate_in_torch(name, given)[0].detach().numpy()
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)
    assert np.isfinite(ours).sum() >= 3


@pytest.mark.parametrize(("name", "attributes"), CASES)
def test_partials_are_the_frameworks_also_at_kinks(name, attributes):
    if name in ABSENT or name in NO_BACKWARD:
        pytest.skip("PyTorch has no such function, or no gradient of it")
    kinks = OPERATORS[name].kinks(**attributes) if OPERATORS[name].required <= {"input", *attributes} else (0.0,)
    poles = OPERATORS[name].name in {"lgamma", "digamma", "tan"}  # neither value is one there
    spots = SPOTS if poles else np.concatenate([SPOTS, np.array(kinks, dtype=float)])
    given = arguments(name, attributes, spots)
    value, tensors = evaluate_in_torch(name, given)
    finite = np.isfinite(value.detach().numpy())
    gradients = (
        torch.autograd.grad(value.sum(), list(tensors.values()), allow_unused=True) if value.requires_grad else ()
    )
    for argument, gradient in zip(tensors, gradients, strict=False):
        if gradient is None:
            assert not np.any(partial_of(name, argument, given))
            continue
        ours = partial_of(name, argument, given)
        rtol = 2e-7 if name in SINGLE else 1e-9
        np.testing.assert_allclose(ours[finite], gradient.numpy()[finite], rtol=rtol, atol=1e-11, err_msg=argument)


@pytest.mark.parametrize(("name", "attributes"), CASES)
def test_partials_are_differences_of_the_function(name, attributes):
    given = arguments(name, attributes, SPOTS)
    for argument in OPERATORS[name].partials:
        if not isinstance(given.get(argument), np.ndarray):
            continue
        difference, other = (central_difference(name, given, argument, step) for step in (1e-3, 7e-4))
        smooth = np.isfinite(difference) & np.isclose(difference, other, rtol=1e-4, atol=1e-8)  # no jump in between
        assert smooth.sum() >= 3
        ours = partial_of(name, argument, given)[smooth]
        np.testing.assert_allclose(ours, difference[smooth], rtol=1e-5, atol=1e-9, err_msg=argument)


def central_difference(name, given, argument, step):
    """Five points: the error is of the fourth order in the step."""
    at = {
        offset: OPERATORS[name].phi(**{**given, argument: given[argument] + offset * step}) for offset in (-2, -1, 1, 2)
    }
    return (8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * step)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ABSENT and name not in FUNCTIONAL])
def test_defaults_are_the_frameworks(name):
    packet = getattr(torch.ops.aten, ATEN.get(name, name))
    ours = OPERATORS[name].defaults
    known = set()
    for overload in packet.overloads():
        schema = getattr(packet, overload)._schema
        for argument in schema.arguments:
            key = {"self": "input"}.get(argument.name, argument.name)
            known.add(key)
            if argument.has_default_value() and key in ours and ours[key] is not inspect.Parameter.empty:
                assert ours[key] == argument.default_value, (overload, key)
    assert set(ours) <= known


@pytest.mark.parametrize(("name", "attributes"), CASES)
def test_kinks_are_kinks(name, attributes):
    given = scalar_attributes(name, attributes)
    kinks = np.array(OPERATORS[name].kinks(**given), dtype=float)
    assert list(kinks) == sorted(kinks)
    reach = 1e-12 * np.maximum(1.0, np.abs(kinks))
    assert jumps(name, given, kinks - reach, kinks + reach).all()


@pytest.mark.parametrize(("name", "attributes"), CASES)
def test_nothing_else_is_a_kink(name, attributes):
    """Descend in each of many cells into the half in which value or slope changes more: a jump stays, a bend fades."""
    given = scalar_attributes(name, attributes)
    kinks = np.array(OPERATORS[name].kinks(**given), dtype=float)
    edges = np.linspace(-7.1234, 7.4321, 1801)
    near = (kinks[:, None] > edges[:-1] - 0.01) & (kinks[:, None] < edges[1:] + 0.01)
    low, high = edges[:-1][~near.any(0)], edges[1:][~near.any(0)]
    entry = OPERATORS[name]

    def both(x):
        value = entry.phi(**{**given, "input": x})
        return value, np.broadcast_to(entry.partials["input"](**{**given, "input": x}), value.shape)

    defined = np.isfinite(both(low)).all(0) & np.isfinite(both(high)).all(0)
    assert defined.sum() >= 100
    low, high = low[defined], high[defined]
    for _ in range(28):
        middle = (low + high) / 2
        at_low, at_middle, at_high = (np.stack(both(x)) for x in (low, middle, high))
        left = np.abs(at_middle - at_low).sum(0) > np.abs(at_high - at_middle).sum(0)
        low, high = np.where(left, low, middle), np.where(left, middle, high)
    scale = 1.0 + np.abs(np.stack(both(low)))
    assert np.all(np.abs(np.stack(both(high)) - np.stack(both(low))) < 1e-5 * scale)


@pytest.mark.parametrize("name", NAMES)
def test_unknown_attributes_change_nothing(name):
    given = scalar_attributes(name, VARIANTS[name][0] if name in NEEDS_ATTRIBUTES else {}) | {"input": SPOTS}
    entry, extra = OPERATORS[name], {"inplace": True, "generator": None}
    assert np.array_equal(entry.phi(**given), entry.phi(**given, **extra), equal_nan=True)
    assert entry.kinks(**given) == entry.kinks(**given, **extra)
    for each in entry.partials.values():
        assert np.array_equal(each(**given), each(**given, **extra), equal_nan=True)


@pytest.mark.parametrize(("name", "attributes"), CASES)
@pytest.mark.filterwarnings("error")
def test_extreme_inputs_give_no_warning_and_what_the_framework_gives(name, attributes):
    spots = np.array([-1e4, -700.0, -40.0, 0.0, -0.0, 40.0, 700.0, 1e4])
    given = arguments(name, attributes, spots)
    ours = OPERATORS[name].phi(**given)
    slopes = [each(**given) for each in OPERATORS[name].partials.values()]
    assert ours.dtype == np.float64
    assert all(slope.dtype == np.float64 for slope in slopes)
    if name not in ABSENT:
        theirs = evaluate_in_torch(name, given)[0].detach().numpy()
        both = np.isfinite(ours) & np.isfinite(theirs)
        assert np.array_equal(np.isnan(ours), np.isnan(theirs)) or name in {"lgamma", "digamma"}
        np.testing.assert_allclose(ours[both], theirs[both], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "name", ["gelu", "silu", "mish", "softplus", "log_sigmoid", "sigmoid", "tanh", "erf", "elu", "selu"]
)
def test_smooth_activations_keep_slope_one_or_zero_far_out(name):
    far = np.array([-1e4, 1e4])
    slope = OPERATORS[name].partials["input"](input=far)
    theirs = torch.tensor(far, requires_grad=True)
    (gradient,) = torch.autograd.grad(evaluate_functional(name, theirs).sum(), theirs)
    np.testing.assert_allclose(slope, gradient.numpy(), atol=1e-15)


def evaluate_functional(name, x):
    return {"log_sigmoid": torch.nn.functional.logsigmoid, "erf": torch.erf}.get(
        name, getattr(torch.nn.functional, name, None)
    )(x)


def of(name, attributes):
    entry = OPERATORS[name]
    return (
        lambda x: np.broadcast_to(entry.phi(input=x, **attributes), x.shape),
        lambda x: np.broadcast_to(entry.partials["input"](input=x, **attributes), x.shape),
        entry.kinks(**attributes),
    )


def inside(intervals, x):
    return np.any([(x >= low) & (x <= high) for low, high in intervals] or [np.zeros(x.shape, bool)], axis=0)


def away(intervals, x, reach):
    ends = np.array([end for interval in intervals for end in interval if np.isfinite(end)])
    return np.all(np.abs(x[:, None] - ends) > reach, axis=1)


ONE_ARGUMENT = [
    pytest.param(name, scalar_attributes(name, attributes), id=f"{name}-{attributes}")
    for name in NAMES
    for attributes in ([] if name in NEEDS_ATTRIBUTES else [{}]) + VARIANTS.get(name, [])
]


@pytest.mark.parametrize(("name", "attributes"), ONE_ARGUMENT)
def test_zones_are_what_a_fine_grid_says(name, attributes):
    """The definition, told again on an even grid with running minima in place of intervals and bisection."""
    function, derivative, kinks = of(name, attributes)
    found = zones(function, derivative, kinks)
    if not np.isfinite(derivative(np.linspace(-10, 10, 2001))).all():  # a pole, or the end of the domain
        assert found.flat == found.off == ()
        return
    x = np.linspace(-1000, 1000, 400_001)
    with np.errstate(all="ignore"):
        value, slope = function(x), np.abs(derivative(x))
    if slope.max() == 0:
        assert found.flat == found.off == ()
        return
    peak = slope.max()
    small, exact = slope <= 0.05 * peak, slope == 0
    runs = np.count_nonzero(np.diff(small.astype(int)) > 0) + small[0]
    left = np.logical_and.accumulate(small) & (slope[0] <= 1e-3 * peak)
    right = np.logical_and.accumulate(small[::-1])[::-1] & (slope[-1] <= 1e-3 * peak)
    neighbour = np.r_[False, exact[:-1]] & np.r_[exact[1:], False]
    flat = left | right | (exact & neighbour)
    if runs > 8 or small.all():
        flat[:] = False
    if peak > 2 * slope[np.abs(x) <= 10].max():
        return  # what an unbounded slope keeps is named below
    sure = away(found.flat, x, 0.011)
    assert np.array_equal(inside(found.flat, x)[sure], flat[sure])
    one_sided = flat[0] != flat[-1]
    faint = np.abs(value) <= 0.05 * peak * np.abs(x)
    off = np.zeros_like(flat)
    starts = np.flatnonzero(np.diff(np.r_[0, flat.astype(int), 0]))
    for low, high in zip(starts[::2], starts[1::2], strict=True):
        part = slice(low, high)
        tail = low == 0 or high == x.size
        off[part] = not value[part].any() or (faint[part] if one_sided and tail else False)
    sure &= away(found.off, x, 0.011)
    assert np.array_equal(inside(found.off, x)[sure], off[sure])


INF = float("inf")
EXACT = {  # flat, off
    "relu": ([(-INF, 0.0)], [(-INF, 0.0)]),
    "relu6": ([(-INF, 0.0), (6.0, INF)], [(-INF, 0.0)]),
    "hardtanh": ([(-INF, -1.0), (1.0, INF)], []),
    "hardsigmoid": ([(-INF, -3.0), (3.0, INF)], [(-INF, -3.0)]),
    "hardswish": ([(-INF, -3.0)], [(-INF, -3.0)]),
    "softshrink": ([(-0.5, 0.5)], [(-0.5, 0.5)]),
    "hardshrink": ([(-0.5, 0.5)], [(-0.5, 0.5)]),
}
NONE = ["leaky_relu", "absolute", "sin", "cos", "tan", "exp", "square", "log", "rsqrt", "reciprocal", "round", "sign"]
NONE += ["floor", "sqrt", "sinh", "tanhshrink", "lgamma", "digamma", "acos", "log_ndtr", "logit", "nan_to_num"]


@pytest.mark.parametrize("name", EXACT)
def test_zones_end_exactly_on_kinks(name):
    found = zones(*of(name, {}))
    assert (list(found.flat), list(found.off)) == EXACT[name]


@pytest.mark.parametrize("name", NONE)
def test_functions_that_do_not_level_off_have_no_zones(name):
    found = zones(*of(name, {}))
    assert found.flat == found.off == ()


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "erf", "atan", "softsign"])
def test_sigmoids_are_flat_on_both_sides_and_never_off(name):
    low, high = zones(*of(name, {})).flat
    assert (low[0], high[1]) == (-INF, INF)
    np.testing.assert_allclose(low[1], -high[0], rtol=1e-9)
    assert zones(*of(name, {})).off == ()


def test_ends_are_those_of_the_closed_forms():
    """sigmoid: s(1-s) = 0.05/4; tanh: 1-t² = 0.05; atan: 1/(1+x²) = 0.05; softplus: sigmoid(x) = 0.05."""
    s = (1 + np.sqrt(1 - 0.05)) / 2
    ends = {
        "sigmoid": np.log(s / (1 - s)),
        "tanh": np.arctanh(np.sqrt(0.95)),
        "atan": np.sqrt(19.0),
    }
    for name, end in ends.items():
        np.testing.assert_allclose(zones(*of(name, {})).flat[1][0], end, rtol=1e-9)
    np.testing.assert_allclose(zones(*of("softplus", {})).flat[0][1], -np.log(19.0), rtol=1e-9)
    np.testing.assert_allclose(zones(*of("elu", {})).flat[0][1], np.log(0.05), rtol=1e-9)


@pytest.mark.parametrize("name", ["gelu", "silu", "mish", "softplus"])
def test_smooth_rectifiers_are_off_in_their_left_tail_alone(name):
    found = zones(*of(name, {}))
    ((low, high),) = found.flat
    assert low == -INF
    assert -5 < high < -2
    assert found.off == found.flat


@pytest.mark.parametrize("name", ["elu", "celu"])
def test_an_exponential_unit_is_flat_before_it_is_off(name):
    found = zones(*of(name, {}))
    ((_, flat),), ((_, off),) = found.flat, found.off
    assert flat == pytest.approx(np.log(0.05), rel=1e-9)
    assert off == pytest.approx(-20.0, rel=1e-6)  # where |f| = 1 falls to 0.05 |x|


@pytest.mark.parametrize("slope", [0.0, 1e-4, 0.01, 0.04, 0.2])
def test_a_leak_is_no_dead_unit(slope):
    found = zones(*of("leaky_relu", {"negative_slope": slope}))
    assert bool(found.flat) == (slope <= 1e-3)


def test_zones_scale_with_their_function():
    """f(a x) has the zones of f divided by a; b f(x) those of f."""
    function, derivative, _ = of("gelu", {})
    found = zones(lambda x: 7 * function(3 * x), lambda x: 21 * derivative(3 * x), ())
    np.testing.assert_allclose(found.flat[0][1] * 3, zones(function, derivative, ()).flat[0][1], rtol=1e-5)


def test_a_squared_rectifier_is_off_below_zero_and_an_exponential_nowhere():
    found = zones(lambda x: np.maximum(x, 0) ** 2, lambda x: 2 * np.maximum(x, 0), (0.0,))
    assert found.flat == found.off == ((-INF, 0.0),)
    assert zones(*of("exp2", {})).flat == ()


def test_a_mirrored_function_has_mirrored_zones():
    function, derivative, kinks = of("hardswish", {})
    found = zones(lambda x: function(-x), lambda x: -derivative(-x), [-kink for kink in kinks])
    assert found.flat == found.off == ((3.0, INF),)


def test_a_higher_threshold_gives_wider_zones():
    ends = [zones(*of("tanh", {}), threshold=threshold).flat[1][0] for threshold in (0.01, 0.05, 0.2)]
    assert ends == sorted(ends, reverse=True)
    np.testing.assert_allclose(ends[2], np.arctanh(np.sqrt(0.8)), rtol=1e-9)


def test_a_clamp_is_flat_up_to_its_bounds_though_it_passes_gradient_on_them():
    for low, high in ((0.0, 1.0), (-0.3, 0.7), (0.1, 6e2)):
        found = zones(*of("clamp", {"min": low, "max": high}))
        assert found.flat == ((-INF, low), (high, INF))
    assert zones(*of("clamp", {"min": -INF, "max": 0.5})).flat == ((0.5, INF),)


def test_a_wave_is_not_flat_even_if_its_crest_is_where_one_stops_looking():
    phase = np.pi / 2 - 1000 % (2 * np.pi)
    found = zones(lambda x: np.sin(np.abs(x) + phase), lambda x: np.sign(x) * np.cos(np.abs(x) + phase), (0.0,))
    assert found.flat == ()


def test_a_pole_of_the_slope_is_found_between_the_points_of_the_grid():
    """A root's slope is infinite at 0.3, though its derivative may be said to be zero there."""

    def derivative(x):
        with np.errstate(divide="ignore"):
            return np.where(x == 0.3, 0.0, 0.5 * np.abs(x - 0.3) ** -0.5)

    found = zones(lambda x: np.sign(x - 0.3) * np.sqrt(np.abs(x - 0.3)), derivative, (0.3,))
    assert found.flat == ()


def test_overflow_inside_a_derivative_is_no_end():
    """Mish by hand, x tanh(log(1 + exp x)): its chain rule multiplies an infinity by zero beyond 709."""
    entry = partial(OPERATORS["mish"].phi)

    def derivative(x):
        slope = OPERATORS["mish"].partials["input"](input=x)
        return np.where(x > 709, np.nan, slope)

    found = zones(lambda x: entry(input=x), derivative, ())
    assert found == zones(*of("mish", {}))
