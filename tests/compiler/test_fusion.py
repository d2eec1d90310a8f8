"""Each fusion rule of docs/design/fusion.md, by the number and form of the kernels that a function becomes."""

from __future__ import annotations

from axon import activations, layers, losses, nx
from axon.defn import grad, value_and_grad, vjp
from axon.dtypes import bfloat16, int32
from axon.nx.core.tensor import Tensor

from .programs import adam, chain, compiled, f32, layer_norm, mlp_loss, softmax, steps, typed


def test_a_chain_of_elementwise_ops_is_one_kernel_over_one_axis() -> None:
    assert steps(chain, f32(30, 40)) == ["map"]
    (step,) = compiled(chain, f32(30, 40)).schedule.steps
    assert step.kernel.outer == 0 and step.calls[0].parameters["n0"] == 1200


def test_rule_1_a_kernel_has_one_shape_and_reduces_one_run_of_axes() -> None:
    assert steps(lambda x, y: (nx.tanh(x), nx.exp(y)), f32(20, 30), f32(30, 30)) == ["map", "map"]
    assert sorted(steps(lambda x: (nx.sum(x, axis=0), nx.sum(x, axis=1)), f32(20, 30))) == ["column", "row"]
    assert steps(lambda x: nx.sum(x, axis=(1, 2)), f32(20, 30, 40)) == ["row"]
    assert steps(lambda x: nx.sum(x, axis=(0, 2)), f32(20, 30, 40)) == ["row", "column"]
    assert steps(lambda x: nx.sum(x, axis=(0, 2)), f32(20, 30, 1)) == ["column"]  # over one element is nothing
    assert steps(lambda x: nx.sum(x, axis=(0, 2)), f32(1, 30, 40)) == ["row"]


def test_rule_2_a_value_is_stored_by_the_group_that_computes_it_anyway() -> None:
    assert steps(lambda x: (nx.tanh(x), nx.exp(nx.tanh(x)) + 1), f32(50)) == ["map"]


def test_rule_2_users_of_one_expensive_value_share_a_kernel() -> None:
    assert steps(lambda x: (nx.tanh(x) + 1, nx.tanh(x) * 2), f32(50)) == ["map"]


def test_rule_2_cheap_values_are_computed_in_each_group() -> None:
    # x - m is recomputed by the second reduction and by the result: nothing but the means is stored between them.
    def centred(x: Tensor) -> Tensor:
        d = x - nx.mean(x, axis=0)
        return d * nx.mean(d * d, axis=0)

    plan = compiled(centred, f32(20, 30))
    assert [s.kernel.form for s in plan.schedule.steps] == ["column", "map", "column", "map", "map"]
    assert all(life.nbytes == 4 * 30 for life in plan.lifetimes)


def test_rule_3_a_producer_is_not_repeated_by_a_broadcast() -> None:
    assert steps(lambda x, b: x + nx.exp(b), f32(20, 30), f32(30)) == ["map", "map"]
    # free: a cast of the small operand is repeated
    assert steps(lambda x, b: x + b.astype("float32"), f32(20, 30), typed(int32, 30)) == ["map"]
    # what depends on the row only is computed once a row
    assert steps(lambda x, b: x + nx.exp(nx.expand_dims(b, axis=1)), f32(20, 30), f32(20)) == ["map"]


def test_rule_4_softmax_and_layer_norm_are_one_row_kernel() -> None:
    assert steps(softmax, f32(20, 30)) == ["row"]
    assert steps(layer_norm, f32(20, 30), f32(30), f32(30)) == ["row"]


def test_rule_4_the_softmax_family_and_cross_entropies_are_one_kernel_each() -> None:
    x, rows = f32(20, 30), f32(20)
    for f in (activations.softmax, activations.log_softmax):
        assert steps(f, x) == ["row"]
        assert steps(lambda x, g, f=f: vjp(f, x)[1](g), x, x) == ["row"]
    for y, loss in [
        (x, losses.categorical_cross_entropy),
        (typed(int32, 20), losses.categorical_cross_entropy),
        (x, losses.binary_cross_entropy),
    ]:
        logits = lambda y, z, loss=loss: loss(y, z, from_logits=True)  # noqa: E731
        assert steps(logits, y, x) == ["row"]
        assert len(steps(lambda y, z, g, f=logits: vjp(lambda z: f(y, z), z)[1](g), y, x, rows)) == 1


def test_rule_4_a_reduction_that_others_read_too_is_stored_by_the_rows_that_use_it() -> None:
    step = value_and_grad(lambda x, w: nx.sum(nx.tanh(softmax(x) @ w)))
    assert steps(step, f32(20, 30), f32(30, 10)) == ["row", "gemm", "row", "gemm", "row"]


def test_rule_4_variances_take_two_passes_and_batch_norm_one_more_backward() -> None:
    assert steps(lambda x: nx.std(x, axis=1), f32(20, 30)) == ["row"]
    assert steps(lambda x: nx.moments(x, axis=0), f32(20, 30)).count("column") == 2

    def norm(x: Tensor, gamma: Tensor, beta: Tensor, weights: Tensor) -> Tensor:
        found = layers.batch_norm(x, gamma, beta, beta, gamma, mode="train")
        assert isinstance(found, layers.Stateful)
        return nx.sum(found.output * weights)

    assert steps(grad(norm, (0, 1, 2)), f32(20, 30), f32(30), f32(30), f32(20, 30)).count("column") == 3


def test_rule_4_softmax_keeps_its_exponentials_for_the_division() -> None:
    (step,) = compiled(softmax, f32(20, 30)).schedule.steps
    assert str(step.kernel).count("exp(") == 1
    assert any(o.space == "scratch" for o in step.kernel.operands)


def test_rule_4_long_rows_are_reduced_in_spans_first() -> None:
    assert steps(softmax, f32(2, 1 << 16)) == ["row"]
    found = compiled(softmax, f32(2, (1 << 16) + 1)).schedule.steps
    assert [s.kernel.form for s in found] == ["row", "row", "row", "row", "map"]
    assert [s.kernel.spans for s in found] == [True, False, True, False, False]


def test_rule_5_a_column_reduction_takes_and_stores_its_producer() -> None:
    def relu_gradient(x: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        d = nx.where(x > 0, g, 0.0)
        return d, nx.sum(d, axis=0)

    assert steps(relu_gradient, f32(100, 30), f32(100, 30)) == ["column"]


def test_rule_5_column_sums_of_the_same_values_share_a_kernel() -> None:
    assert steps(lambda g, x: (nx.sum(g, axis=0), nx.sum(g * x, axis=0)), f32(100, 30), f32(100, 30)) == ["column"]


def test_rule_5_long_columns_are_reduced_in_spans() -> None:
    assert steps(lambda x: nx.sum(x, axis=0), f32(2048, 30)) == ["column"]
    found = compiled(lambda x: nx.sum(x, axis=0), f32(2049, 30)).schedule.steps
    assert [(s.kernel.form, s.kernel.spans) for s in found] == [("column", True), ("map", False)]


def test_rule_6_movement_that_keeps_the_innermost_axis_is_an_index_map() -> None:
    def moved(x: Tensor) -> Tensor:
        y = nx.permute_dims(nx.exp(x), (1, 0, 2))[1:, ::2]
        return nx.pad(y, [(1, 1, 0), (0, 0, 1), (0, 0, 0)]) * 2

    assert steps(moved, f32(6, 5, 8)) == ["map"]


def test_rule_6_a_transpose_is_a_copy_between_kernels() -> None:
    assert steps(lambda x, z: z + nx.permute_dims(nx.exp(x), (1, 0)), f32(20, 30), f32(30, 20)) == [
        "map",
        "copy",
        "map",
    ]


def test_rule_6_a_splitting_reshape_fuses_and_a_merging_one_is_an_alias() -> None:
    assert steps(lambda x, b: nx.reshape(nx.exp(x), (5, 6, 10)) + b, f32(30, 10), f32(5, 1, 10)) == ["map"]
    assert steps(lambda x, b: nx.reshape(nx.exp(x), (300,)) + b, f32(30, 10), f32(300)) == ["map", "map"]


def test_rule_6_a_product_of_broadcasts_is_stored_where_its_sum_cannot_compute_them() -> None:
    outer = lambda x, y: nx.dot_general(x, y, contract=((), ()), batch=((0,), (0,)))  # noqa: E731
    assert steps(lambda x, y: nx.sum(outer(x, y) ** 2, axis=(1, 2)), f32(5, 20), f32(5, 30)) == ["map", "row"]


def test_rule_6_a_concat_of_many_pieces_is_a_copy_a_piece() -> None:
    few, many = ([f32(4, 8)] * n for n in (8, 9))
    assert steps(lambda *xs: nx.exp(nx.concat(xs)), *few) == ["map"]
    assert steps(lambda *xs: nx.exp(nx.concat(xs)), *many) == ["copy"] * 9 + ["map"]


def test_rule_7_a_lookup_fuses_with_its_indices_and_its_users() -> None:
    assert steps(lambda t, i: nx.take(t, i + 1, axis=0) * 2, f32(50, 16), typed(int32, 7)) == ["map"]


def test_rule_8_an_optimizer_over_many_tensors_is_one_step() -> None:
    def update(ps: list[Tensor], t: Tensor) -> list[object]:
        return [adam(p, p * 0.5, p, p * p, t) for p in ps]

    shapes = [f32(30, 10), f32(10), f32(10, 4), f32(4)]
    plan = compiled(update, shapes, f32())
    assert [len(s.calls) for s in plan.schedule.steps] == [1, 4]
    assert plan.schedule.steps[0].calls[0].units == 1


def test_rule_9_transposed_operands_of_a_dot_are_strides() -> None:
    assert steps(lambda a, b: nx.permute_dims(a, (1, 0)) @ nx.permute_dims(b, (1, 0)), f32(8, 9), f32(7, 8)) == ["gemm"]


def test_rule_9_a_dot_that_adds_nothing_up_is_a_multiplication() -> None:
    outer = lambda x, y: nx.dot_general(x, y, contract=((), ()), batch=((0,), (0,)))  # noqa: E731
    assert steps(lambda x, y: nx.tanh(outer(x, y)), f32(5, 20), f32(5, 30)) == ["map"]
    assert steps(lambda x, y: nx.sum(outer(x, y), axis=0), f32(5, 20), f32(5, 30)) == ["column"]
    assert steps(lambda x, w, b: nx.tanh(x @ w + b), f32(20, 1), f32(1, 30), f32(30)) == ["map"]


def test_rule_9_a_bias_is_added_by_the_product_where_the_sum_is_stored() -> None:
    x, w, b = f32(8, 9), f32(9, 10), f32(10)
    assert steps(lambda x, w, b: x @ w + b, x, w, b) == ["gemm"]
    assert steps(lambda x, w, b, v: (b + x @ w) @ v, x, w, b, f32(10, 4)) == ["gemm", "gemm"]
    assert steps(lambda x, w, b: nx.conv(x, w, padding=1) + b, f32(2, 6, 6, 3), f32(3, 3, 3, 10), b) == ["conv"]
    assert steps(lambda x, w, b: nx.tanh(x @ w + b), x, w, b) == ["gemm", "map"]  # the kernel adds it for nothing
    assert steps(lambda x, w, b: x @ w + b, f32(8, 9), f32(9, 10), f32(8, 1)) == ["gemm", "map"]  # of a row, no bias
    assert steps(lambda x, w: x @ w + 1, x, w) == ["gemm", "map"]
    assert steps(lambda x, w, b: (y := x @ w, y + b), x, w, b) == ["gemm", "map"]
    assert steps(lambda x, w, b: x @ w + b, *(typed(bfloat16, *s.shape) for s in (x, w, b))) == ["gemm", "map"]


def test_half_floats_are_rounded_inside_the_kernel() -> None:
    (step,) = compiled(chain, typed(bfloat16, 100)).schedule.steps
    assert str(step.kernel).count(": bfloat16") >= 9


def test_a_window_is_shifted_loads_of_one_kernel() -> None:
    pool = lambda x: nx.window_max(nx.maximum(x, 0.0), window=(1, 2, 2, 1), strides=(1, 2, 2, 1))  # noqa: E731
    assert steps(pool, f32(2, 8, 8, 16)) == ["map"]


def test_a_train_step_of_an_mlp() -> None:
    p = {"w1": f32(784, 128), "b1": f32(128), "w2": f32(128, 10), "b2": f32(10)}
    found = steps(value_and_grad(mlp_loss), p, f32(32, 784), typed(int32, 32))
    assert found.count("gemm") == 5
    assert len(found) - 5 <= 6, found


def test_no_number_of_a_shape_is_in_a_kernel() -> None:
    p = lambda n: {"w1": f32(n, 128), "b1": f32(128), "w2": f32(128, 10), "b2": f32(10)}  # noqa: E731
    grad = value_and_grad(mlp_loss)
    a, b = (compiled(grad, p(784), f32(n, 784), typed(int32, n)).schedule.kernels() for n in (32, 17))
    assert a == b
