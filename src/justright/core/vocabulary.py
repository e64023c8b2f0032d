"""The canonical operators: one name per operation, whatever framework it came from.

An adapter maps its native operators to these names; rules, diagnostics and reports know only these. A native operator
without a name here keeps its native one and stands in the coverage ledger.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

__all__ = ["KINDS", "WITH_BYPRODUCTS", "Kind", "kind_of"]


class Kind(Enum):
    """What an operator does to a signal, as far as most readers of a graph care."""

    CONTRACTION = "contraction"  # sums over an axis shared by two operands
    POINTWISE = "pointwise"  # y_i = f(x_i, ...), broadcasting allowed
    VIEW = "view"  # the same elements in another shape or order
    SELECTION = "selection"  # some of the elements, possibly repeated or padded
    JOIN = "join"  # several tensors side by side
    REDUCTION = "reduction"  # fewer elements, each from many
    SCAN = "scan"  # running reduction along an axis
    NORMALIZATION = "normalization"  # divided by a statistic of itself
    SOFTMAX = "softmax"  # exponentials that sum to one along an axis
    POOLING = "pooling"  # local reduction over positions
    LOOKUP = "lookup"  # rows of a table chosen by integers
    RECURRENT = "recurrent"  # a whole recurrent layer as one native call
    LOSS = "loss"  # outputs and targets to a score
    RANDOM = "random"  # draws noise
    SOURCE = "source"  # makes a tensor out of nothing
    ROUTING = "routing"  # integers and booleans: order, comparison, counting
    CAST = "cast"  # the same values in another dtype or on another device
    UPDATE = "update"  # what a write through another view leaves behind
    UNKNOWN = "unknown"  # no canonical name


_MEMBERS: Final[dict[Kind, str]] = {
    Kind.CONTRACTION: "matmul linear batched_matmul batched_linear convolution transposed_convolution grouped_matmul "
    "bilinear triangular_solve outer distance",
    Kind.POINTWISE: "add subtract multiply divide floor_divide remainder reverse_subtract power square reciprocal "
    "negative absolute sign exp expm1 exp2 log log1p log2 log10 sqrt rsqrt sin cos tan sinh cosh asin acos atan atan2 "
    "tanh sigmoid log_sigmoid relu relu6 leaky_relu prelu rrelu elu selu celu gelu silu mish softplus softshrink "
    "hardshrink tanhshrink softsign hardtanh hardsigmoid hardswish threshold clamp clamp_min clamp_max maximum "
    "minimum where masked_fill erf erfc erfinv lerp addcmul addcdiv floor ceil round trunc nan_to_num logaddexp glu "
    "dropout log_ndtr lgamma digamma hypot copysign xlogy logit square_difference",
    Kind.VIEW: "view transpose permute squeeze unsqueeze clone detach alias flip roll pixel_shuffle pixel_unshuffle",
    Kind.SELECTION: "expand slice select split unbind chunk index gather masked_select tril triu pad repeat "
    "strided_view diagonal index_select take unfold fold resample scatter slice_scatter select_scatter",
    Kind.JOIN: "concatenate stack scatter_add index_put index_add",
    Kind.REDUCTION: "mean sum variance standard_deviation product norm max min amax amin logsumexp any all median",
    Kind.SCAN: "cumulative_sum cumulative_product cumulative_max logcumsumexp",
    Kind.NORMALIZATION: "batch_norm layer_norm group_norm rms_norm local_response_norm weight_norm",
    Kind.SOFTMAX: "softmax log_softmax",
    Kind.POOLING: "average_pool max_pool adaptive_average_pool adaptive_max_pool",
    Kind.LOOKUP: "embedding embedding_bag",
    Kind.RECURRENT: "lstm gru rnn",
    Kind.LOSS: "nll_loss mse_loss binary_cross_entropy binary_cross_entropy_with_logits smooth_l1_loss huber_loss "
    "l1_loss kl_divergence ctc_loss soft_margin_loss multi_margin_loss",
    Kind.RANDOM: "random_normal random_uniform random_bernoulli random_integers random_exponential random_permutation "
    "multinomial",
    Kind.SOURCE: "constant zeros ones full empty arange linspace eye scalar",
    Kind.ROUTING: "compare logical argmax argmin top_k sort nonzero one_hot histogram bucketize item is_nan is_inf "
    "is_finite bitwise count unique argsort",
    Kind.CAST: "cast",
    Kind.UPDATE: "written_through_view",
}

KINDS: Final[dict[str, Kind]] = {name: kind for kind, names in _MEMBERS.items() for name in names.split()}
"""Kind of every canonical operator."""


WITH_BYPRODUCTS: Final = frozenset(
    {"batch_norm", "layer_norm", "group_norm", "rms_norm", "weight_norm", "nll_loss", "dropout", "log_sigmoid", "rrelu"}
)
"""Operators whose outputs after the first are kept for the backward (means, masks, weights) and are no signals."""


def kind_of(op: str) -> Kind:
    """Return the kind of a canonical operator, `Kind.UNKNOWN` for a native name.

    Examples
    --------
    >>> kind_of("softmax"), kind_of("aten.my_op")
    (<Kind.SOFTMAX: 'softmax'>, <Kind.UNKNOWN: 'unknown'>)
    """
    return KINDS.get(op, Kind.UNKNOWN)
