"""PyTorch's operators by canonical name.

One row a canonical name: the ATen base names (overload and in-place underscore dropped) that mean it.
"""

from __future__ import annotations

from typing import Final

__all__ = ["CANONICAL", "RENAMED", "canonical"]

_ROWS: Final = """
linear: addmm linear addmv _addmm_activation
matmul: mm mv
batched_matmul: bmm
batched_linear: baddbmm addbmm
outer: outer ger addr
bilinear: bilinear _trilinear
distance: cdist _cdist_forward
dot: dot vdot
grouped_matmul: _grouped_mm _scaled_grouped_mm
triangular_solve: linalg_solve_triangular triangular_solve
convolution: convolution _convolution cudnn_convolution mkldnn_convolution conv_depthwise2d _slow_conv2d_forward \
    slow_conv3d_forward miopen_convolution
add: add
subtract: sub
reverse_subtract: rsub
multiply: mul
divide: div true_divide
floor_divide: floor_divide
remainder: remainder fmod
power: pow
square: square
reciprocal: reciprocal
negative: neg
absolute: abs
sign: sign sgn
exp: exp
expm1: expm1
exp2: exp2
log: log
log1p: log1p
log2: log2
log10: log10
sqrt: sqrt
rsqrt: rsqrt
sin: sin
cos: cos
tan: tan
sinh: sinh
cosh: cosh
asin: asin
acos: acos
atan: atan
atan2: atan2
tanh: tanh
sigmoid: sigmoid
log_sigmoid: log_sigmoid_forward
relu: relu
leaky_relu: leaky_relu
prelu: _prelu_kernel
rrelu: rrelu_with_noise
elu: elu
gelu: gelu
silu: silu
mish: mish
softplus: softplus
softshrink: softshrink
hardshrink: hardshrink
hardtanh: hardtanh
hardsigmoid: hardsigmoid
hardswish: hardswish
threshold: threshold
clamp: clamp clip
clamp_min: clamp_min
clamp_max: clamp_max
maximum: maximum fmax
minimum: minimum fmin
where: where
masked_fill: masked_fill
erf: erf special_erf
erfc: erfc
erfinv: erfinv
log_ndtr: special_log_ndtr
lerp: lerp
addcmul: addcmul
addcdiv: addcdiv
floor: floor
ceil: ceil
round: round
trunc: trunc
nan_to_num: nan_to_num
logaddexp: logaddexp
glu: glu
dropout: native_dropout
lgamma: lgamma
digamma: digamma
hypot: hypot
copysign: copysign
xlogy: xlogy special_xlogy
logit: logit
view: view _unsafe_view reshape _reshape_alias view_as_real view_as_complex
transpose: t transpose
permute: permute
squeeze: squeeze
unsqueeze: unsqueeze
clone: clone contiguous
detach: detach
alias: alias lift_fresh_copy
flip: flip
roll: roll
pixel_shuffle: pixel_shuffle
pixel_unshuffle: pixel_unshuffle
expand: expand
slice: slice
select: select
split: split split_with_sizes unsafe_split unsafe_split_with_sizes
chunk: unsafe_chunk
unbind: unbind
index: index _unsafe_index
index_select: index_select
gather: gather
take: take
masked_select: masked_select
tril: tril
triu: triu
pad: constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d \
    replication_pad3d
repeat: repeat repeat_interleave
strided_view: as_strided
diagonal: diagonal diagonal_copy
unfold: unfold im2col
fold: col2im
resample: upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_linear1d upsample_bilinear2d \
    upsample_trilinear3d upsample_bicubic2d _upsample_bilinear2d_aa _upsample_bicubic2d_aa _upsample_nearest_exact1d \
    _upsample_nearest_exact2d _upsample_nearest_exact3d grid_sampler_2d grid_sampler_3d
scatter: scatter masked_scatter
slice_scatter: slice_scatter
select_scatter: select_scatter
concatenate: cat
stack: stack
scatter_add: scatter_add scatter_reduce
index_put: index_put _index_put_impl
index_add: index_add index_copy
mean: mean
sum: sum
variance: var var_mean
standard_deviation: std std_mean
product: prod
norm: linalg_vector_norm norm
max: max
min: min
amax: amax
amin: amin
logsumexp: logsumexp
any: any
all: all
median: median
cumulative_sum: cumsum
cumulative_product: cumprod
cumulative_max: cummax
logcumsumexp: logcumsumexp
batch_norm: native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training cudnn_batch_norm \
    miopen_batch_norm _batch_norm_with_update _batch_norm_no_update
layer_norm: native_layer_norm
group_norm: native_group_norm
rms_norm: rms_norm _fused_rms_norm
weight_norm: _weight_norm_interface
softmax: _softmax _safe_softmax
log_softmax: _log_softmax
average_pool: avg_pool1d avg_pool2d avg_pool3d
adaptive_average_pool: _adaptive_avg_pool2d _adaptive_avg_pool3d
max_pool: max_pool2d_with_indices max_pool3d_with_indices
adaptive_max_pool: adaptive_max_pool2d adaptive_max_pool3d
embedding: embedding
embedding_bag: _embedding_bag _embedding_bag_forward_only
lstm: mkldnn_rnn_layer _cudnn_rnn
nll_loss: nll_loss_forward nll_loss2d_forward
mse_loss: mse_loss
binary_cross_entropy: binary_cross_entropy
binary_cross_entropy_with_logits: binary_cross_entropy_with_logits
smooth_l1_loss: smooth_l1_loss
huber_loss: huber_loss
kl_divergence: kl_div
ctc_loss: _ctc_loss
soft_margin_loss: soft_margin_loss
multi_margin_loss: multi_margin_loss multilabel_margin_loss_forward
random_normal: randn randn_like normal normal_functional
random_uniform: rand rand_like uniform
random_bernoulli: bernoulli
random_integers: randint randint_like random
random_exponential: exponential
random_permutation: randperm
multinomial: multinomial
constant: _tensor_constant
zeros: zeros zeros_like new_zeros zero
ones: ones ones_like new_ones
full: full full_like new_full fill
empty: empty empty_like new_empty empty_strided new_empty_strided
arange: arange
linspace: linspace
eye: eye
scalar: scalar_tensor
compare: eq ne lt le gt ge
logical: logical_and logical_or logical_not logical_xor
bitwise: bitwise_and bitwise_or bitwise_not bitwise_xor bitwise_left_shift bitwise_right_shift __and__ __or__ \
    __xor__ __lshift__ __rshift__
argmax: argmax
argmin: argmin
argsort: argsort
top_k: topk
sort: sort
nonzero: nonzero
one_hot: one_hot
histogram: histc bincount
bucketize: bucketize searchsorted
item: _local_scalar_dense
is_nan: isnan
is_inf: isinf
is_finite: isfinite
count: count_nonzero
unique: unique _unique2 unique_consecutive unique_dim
cast: _to_copy _to_dtype copy
"""

CANONICAL: Final[dict[str, str]] = {
    native: name.strip()
    for row in _ROWS.strip().splitlines()
    for name, natives in [row.split(":")]
    for native in natives.split()
}
"""ATen base name → canonical name."""

RENAMED: Final[dict[str, dict[str, str]]] = {
    "linear": {"input": "bias"},
    "batched_linear": {"input": "bias"},
    "matmul": {"input": "mat1", "vec": "mat2"},
    "batched_matmul": {"input": "mat1"},
}
"""Arguments whose ATen name hides what they are, by canonical operator (after ``self`` became ``input``)."""

_OVERLOADED: Final[dict[str, str]] = {
    "aten.max.other": "maximum",
    "aten.min.other": "minimum",
    "aten.std.correction": "standard_deviation",
}


def canonical(native: str, attributes: dict[str, object]) -> str:
    """Return the canonical name of an ATen overload, or the overload itself where there is none.

    Examples
    --------
    >>> canonical("aten.addmm.default", {}), canonical("aten.relu_.default", {}), canonical("mylib.op.default", {})
    ('linear', 'relu', 'mylib.op.default')
    """
    if native in _OVERLOADED:
        return _OVERLOADED[native]
    namespace, _, rest = native.partition(".")
    base = rest.split(".")[0]
    if namespace != "aten":
        return native
    name = CANONICAL.get(base) or CANONICAL.get(base.removesuffix("_")) or native
    if name == "convolution" and attributes.get("transposed"):
        return "transposed_convolution"
    return name
