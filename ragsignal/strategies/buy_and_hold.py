"""The plainest benchmark."""

from __future__ import annotations

from typing import Any

from ragsignal.strategies.book import TargetBook


class BuyAndHold(TargetBook):
    """Buy each feed once, after its first bar, and keep it; 1/n of `invest` each.

    One market order per feed, sent at the close of its first bar and filled at the open of its second.
    It reads no signal.

    Parameters
    ----------
    invest : float, default 0.95
        Fraction of equity that the full book uses.
    """

    def weights(self, today: list[Any]) -> dict[Any, float]:
        """Ask for a full slot at every bar; only the first one is a change."""
        return dict.fromkeys(today, self.slot)
