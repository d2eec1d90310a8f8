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
