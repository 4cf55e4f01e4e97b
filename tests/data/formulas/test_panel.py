"""Bars of several symbols as fields of one panel."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ragsignal.data.formulas import Evaluator, FieldPanel, Kind, field_panel, parse
from ragsignal.errors import DataError


def frame(days: list[str], close: list[float]) -> pd.DataFrame:
    """Bars with a close, and the rest beside it."""
    values = np.array(close)
    columns = {"open": values, "high": values + 1, "low": values - 1, "close": values, "volume": values * 10}
    return pd.DataFrame(columns, index=pd.DatetimeIndex(days, name="date"))


FRAMES = {
    "AAA": frame(["2010-01-04", "2010-01-05", "2010-01-06"], [10, 11, 22]),
    "BBB": frame(["2010-01-04", "2010-01-06"], [10, 5]),
}


def test_days_are_those_of_all_symbols() -> None:
    panel = field_panel(FRAMES)
    assert panel.shape == (3, 2)
    np.testing.assert_equal(panel.fields["close"], [[10, 10], [11, np.nan], [22, 5]])
    np.testing.assert_allclose(panel.fields["vwap"], panel.fields["close"])
    # since the symbol's own bar before
    np.testing.assert_allclose(panel.fields["returns"], [[np.nan, np.nan], [0.1, np.nan], [1.0, -0.5]])


def test_further_fields_are_known() -> None:
    panel = field_panel(FRAMES, {"cap": np.ones((3, 2))})
    np.testing.assert_equal(Evaluator(panel).values(parse("cap + 1", panel.known)), np.full((3, 2), 2.0))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.ones((2, 3)), r"field cap has the shape \(2, 3\), and the panel \(3, 2\)"),
        (np.array([[1, 1], [1, np.inf], [1, 1]]), "field cap of BBB is infinite on 2010-01-05"),
        (np.array([[1, 1], [1, 1], [-np.inf, 1]]), "field cap of AAA is infinite on 2010-01-06.*give NaN"),
    ],
)
def test_wrong_fields_are_told(values: np.ndarray, said: str) -> None:
    with pytest.raises(DataError, match=said) as told:
        field_panel(FRAMES, {"cap": values})
    assert "\n" not in str(told.value)


def test_groups_are_whole_numbers() -> None:
    panel = field_panel(FRAMES)
    fields = {**panel.fields, "sector": np.array([[1, 2], [1, np.nan], [1, 2.5]])}
    with pytest.raises(DataError, match=r"the groups sector are named by whole numbers, and 2\.5 is none"):
        FieldPanel(panel.days, panel.symbols, fields, {"sector": Kind.GROUP})
