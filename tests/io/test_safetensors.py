"""safetensors files: round trips, other readers, strict loading, damage, atomic writing."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from axon import dtypes, model, nx, tree
from axon.errors import DTypeError, StructureError
from axon.io import load, save
from hypothesis import given, settings
from hypothesis import strategies as st


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(dtypes.ALL), st.lists(st.integers(0, 4), max_size=3))
def test_every_dtype_and_shape(tmp_path_factory: pytest.TempPathFactory, dtype: dtypes.DType, shape: list[int]) -> None:
    path = tmp_path_factory.mktemp("io") / "x.safetensors"
    values = np.random.default_rng(0).integers(0, 2, shape).astype(dtype.numpy)
    save(path, {"a": {"b": nx.tensor(values)}, "c": nx.tensor(values)})
    found = load(path)
    assert found["a"]["b"].dtype is dtype and found["a"]["b"].shape == tuple(shape)
    np.testing.assert_array_equal(found["a"]["b"].numpy().view(np.uint8), values.view(np.uint8)) if shape else None
    np.testing.assert_array_equal(found["c"].numpy().astype(np.float64), values.astype(np.float64))


def test_others_read_what_we_write(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    save(tmp_path / "x", {"dense_0": {"kernel": nx.tensor(x), "rest": [nx.tensor(1), nx.tensor(2)]}}, {"note": "hello"})
    found = safetensors.numpy.load_file(tmp_path / "x")
    np.testing.assert_array_equal(found["dense_0.kernel"], x)
    assert set(found) == {"dense_0.kernel", "dense_0.rest.0", "dense_0.rest.1"}
    with safetensors.safe_open(tmp_path / "x", "np") as file:
        assert file.metadata() == {"note": "hello"}


def test_a_model_state_comes_back(tmp_path: Path) -> None:
    m = model.input("x", shape=(None, 4)).dense(3).batch_norm().dropout()
    state = model.init(m, compiler="evaluate").freeze(lambda layer, parameter: parameter == "bias")
    save(tmp_path / "x", state)
    found = load(
        tmp_path / "x", like=model.init(m, key=nx.random.key(1), compiler="evaluate").freeze(lambda _, p: p == "bias")
    )
    assert tree.structure(found) == tree.structure(state)
    for a, b in zip(tree.leaves(found), tree.leaves(state), strict=True):
        np.testing.assert_array_equal(a, b)


def test_strict_loading_lists_all_that_is_wrong(tmp_path: Path) -> None:
    kernel, scale = nx.ones((2, 3)), nx.ones(3, dtype="float16")
    save(tmp_path / "x", {"dense_0": {"kernel": kernel, "bais": nx.ones(3), "scale": scale}, "extra": nx.ones(1)})
    with pytest.raises(StructureError) as caught:
        load(tmp_path / "x", like={"dense_0": {"kernel": nx.ones((2, 4)), "bias": nx.ones(3), "scale": np.ones(3)}})
    text = str(caught.value)
    assert "missing: dense_0.bias (the file has dense_0.bais)" in text
    assert "unexpected: extra" in text
    assert "type: dense_0.kernel: float32[2,4] expected, float32[2,3] found" in text
    assert "type: dense_0.scale: float64[3] expected, float16[3] found" in text


def test_numbers_are_tensors_and_words_are_not(tmp_path: Path) -> None:
    save(tmp_path / "x", {"epoch": 3, "w": nx.ones(2)})
    assert load(tmp_path / "x", like={"epoch": 0, "w": nx.template(2)})["epoch"].item() == 3
    with pytest.raises(DTypeError, match=r"^save: expected tensors, got str as a.status; save the part that holds"):
        save(tmp_path / "y", {"a": {"status": "done"}})


@pytest.mark.parametrize(
    "damage",
    [lambda b: b[: len(b) // 2], lambda b: b"\xff" * 8 + b[8:], lambda b: b"", lambda b: b[:20] + b"}" + b[21:]],
)
def test_damaged_files_are_refused(tmp_path: Path, damage: Any) -> None:
    save(tmp_path / "x", {"a": nx.ones((5, 5))})
    (tmp_path / "x").write_bytes(damage((tmp_path / "x").read_bytes()))
    with pytest.raises(ValueError, match=r"load: expected a safetensors file, got .*x"):
        load(tmp_path / "x")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    save(path, {"a": nx.ones(3)})
    old = path.read_bytes()

    def full(*args: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        save(path, {"a": nx.zeros(3)})
    assert path.read_bytes() == old and os.listdir(tmp_path) == ["x"]


def test_new_files_have_the_usual_permissions(tmp_path: Path) -> None:
    save(tmp_path / "x", {"a": nx.ones(3)})
    (tmp_path / "y").write_text("")
    assert (tmp_path / "x").stat().st_mode == (tmp_path / "y").stat().st_mode


def test_names_that_cannot_be_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"got 'a.b' twice"):
        save(tmp_path / "x", {"a": {"b": nx.ones(1)}, "a.b": nx.ones(1)})
    save(tmp_path / "x", {"a": nx.ones(1), "a.b": nx.ones(1)})
    with pytest.raises(ValueError, match="expected a to be a tensor or a folder"):
        load(tmp_path / "x")


@pytest.mark.parametrize("kind", ["absolute", "relative", "chain", "dangling", "folder"])
def test_links_are_followed(tmp_path: Path, kind: str) -> None:
    """What opening the path would write to is written, and the link stays."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    real, link = tmp_path / "a" / "real", tmp_path / "b" / "link"
    if kind != "dangling":
        save(real, {"w": nx.zeros(2)})
    if kind == "chain":
        (tmp_path / "b" / "middle").symlink_to(real)
    if kind == "folder":
        link.symlink_to(tmp_path / "a")
        path = link / "real"
    else:
        path = link
        link.symlink_to({"relative": "../a/real", "chain": "middle"}.get(kind, real))
    save(path, {"w": nx.ones(2)})
    assert link.is_symlink() and load(real)["w"].tolist() == [1, 1] and load(path)["w"].tolist() == [1, 1]
    assert os.listdir(tmp_path / "a") == ["real"]


def test_an_old_file_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "x"
    save(path, {"w": nx.zeros(2)})
    path.chmod(0o640)
    save(path, {"w": nx.ones(2)})
    assert path.stat().st_mode & 0o777 == 0o640 and load(path)["w"].tolist() == [1, 1]


def test_what_is_no_file_is_written_to_and_stays(tmp_path: Path) -> None:
    save(os.devnull, {"w": nx.zeros(2)})
    assert not os.path.isfile(os.devnull)
    save(tmp_path / ("x" * 250), {"w": nx.ones(2)})  # a name with no room for more
    assert load(os.fsencode(tmp_path / ("x" * 250)))["w"].tolist() == [1, 1]


def test_errors_name_the_path_that_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.symlink("loop", "loop")
    os.mkdir("folder")
    cases = {"no-such-folder/x": FileNotFoundError, "loop": OSError, "folder": IsADirectoryError}
    for path, error in cases.items():
        with pytest.raises(error) as caught:
            save(path, {"w": nx.ones(1)})
        assert caught.value.filename == path and str(caught.value).endswith(f": '{path}'")
    assert sorted(os.listdir()) == ["folder", "loop"]


def test_swapped_arguments() -> None:
    with pytest.raises(TypeError, match=r"^save: expected \(path, tree\), got dict as the path"):
        save({"w": nx.ones(1)}, "x")  # pyright: ignore
    with pytest.raises(TypeError, match=r"^load: expected a path, got ModelState as the path"):
        load(model.ModelState({}))  # pyright: ignore
