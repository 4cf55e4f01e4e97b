"""Fingerprints: equal content, equal digest; any other content, another one."""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ragsignal.utils.digest import array_digest, canonical_json, file_digest, json_digest

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_a_digest_is_the_same_in_every_process_and_on_every_machine() -> None:
    text = '{"a":"2020-01-02","b":[1,2.5,null,"\\u00e9"]}'
    value = {"b": (1, 2.5, None, "é"), "a": date(2020, 1, 2)}
    assert canonical_json(value) == text
    assert json_digest(value) == hashlib.sha256(text.encode()).hexdigest()
    golden = "ec5a5fd081b6ae0d2a207d27ab300e7ffbf4602d53b50290c7ae27ae5edac2c0"
    assert array_digest(np.array([[1.0, -2.5]], dtype="<f8")) == golden


@given(st.dictionaries(st.text(), json_values, min_size=2, max_size=4))
def test_the_order_of_keys_does_not_matter(value: dict[str, Any]) -> None:
    assert json_digest(dict(reversed(value.items()))) == json_digest(value)


@given(json_values, json_values)
def test_only_equal_values_share_a_digest(left: Any, right: Any) -> None:
    same = canonical_json(left) == canonical_json(right)
    assert (json_digest(left) == json_digest(right)) is same
    if not same:
        assert json_digest([left]) != json_digest([right])


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ({"x": {1, 2}}, TypeError),
        ([np.float32(1.0)], TypeError),
        (Path("/data"), TypeError),
        ({"x": float("nan")}, ValueError),
        ([float("inf")], ValueError),
    ],
)
def test_what_json_cannot_hold_is_refused_and_not_written_as_its_repr(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        json_digest(value)


def test_an_array_is_its_values_shape_and_type_whatever_its_memory() -> None:
    array = np.arange(12, dtype=np.float64).reshape(3, 4)
    digest = array_digest(array)
    assert array_digest(np.asfortranarray(array)) == digest
    assert array_digest(np.repeat(array, 2, axis=1)[:, ::2]) == digest
    others: list[NDArray[Any]] = [
        array.reshape(4, 3),
        array.astype(np.float32),
        array.astype(np.int64),
        array + np.eye(3, 4) * 1e-15,
    ]
    assert len({digest, *(array_digest(other) for other in others)}) == 5


def test_an_array_of_objects_is_refused_because_its_bytes_are_addresses() -> None:
    with pytest.raises(TypeError, match="cannot fingerprint an array of object"):
        array_digest(np.array(["AAPL", "IBM"], dtype=object))


def test_a_file_is_read_to_its_last_byte(tmp_path: Path) -> None:
    content = b"x" * (3 << 20) + b"end"
    path = tmp_path / "weights"
    path.write_bytes(content)
    assert file_digest(path) == hashlib.sha256(content).hexdigest()
