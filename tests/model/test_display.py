"""The table of a model, to the letter."""

from axon import model, nx
from axon.model import input

TABLE = """\
----------------------------------------------------------------
                             Model
================================================================
 Layer                                   Shape       Parameters
================================================================
 x (input)                               (None, 4)   0
 dense_0 (dense)                         (None, 8)   40
 batch_norm_0 (batch_norm)               (None, 8)   16
 relu_0 (relu)                           (None, 8)   0
 concatenate_0 (concatenate: relu_0, x)  (None, 12)  0
----------------------------------------------------------------
 Total parameters: 56
 Total parameter memory: 224 bytes"""


def test_table() -> None:
    x = input("x", shape=(None, 4))
    assert str(model.concatenate(x.dense(8).batch_norm().relu(), x)) == TABLE


def test_an_unknown_shape_is_said_so_until_there_is_a_template() -> None:
    m = input("image", shape=(None, None, 3)).conv(4, kernel_size=3).dense(2)
    assert "conv_0 (conv)" in str(m) and "unknown" in str(m) and "Total" not in str(m)
    assert "(2, 7, 4)" in model.table(m, nx.template((2, 9, 3)))


def test_windows_over_anything_but_images_of_two_axes_are_noted() -> None:
    """[batch, 8, 8] has eight channels, where one was perhaps meant."""
    lines = str(input("x", shape=(None, 8, 8)).conv(4, kernel_size=3).max_pool(kernel_size=2))
    assert "conv_0 (conv, 1-d over 8 channels)" in lines and "max_pool_0 (max_pool, 1-d over 4 channels)" in lines
    lines = str(input("x", shape=(None, 8, 8, 8, 1)).avg_pool(kernel_size=2))
    assert "avg_pool_0 (avg_pool, 3-d over 1 channels)" in lines
    assert "conv_0 (conv) " in str(input("x", shape=(None, 8, 8, 1)).conv(4, kernel_size=3))
