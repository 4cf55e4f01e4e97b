"""The look-ahead proof of a spec, of a strategy, of an indicator, of a feature: see docs/look-ahead.md.

:func:`audit_spec` runs every test that there is on what a spec runs; :func:`audit_subjects` the tests of code on
anything that is named.

``code``      prefix, poison, modes, starts, fills: every bar of a strategy, an indicator or a feature a cut point
``signals``   whether signals and retrieval look ahead
``models``    what the models may know by heart, and when their training ended
``formulas``  whether a formula's values change with later bars
"""

from __future__ import annotations

from ragsignal.audit.formulas import audit_formulas
from ragsignal.audit.spec import audit_spec, audit_subjects
from ragsignal.audit.verdict import Finding, worst

__all__ = [
    "Finding",
    "audit_formulas",
    "audit_spec",
    "audit_subjects",
    "worst",
]
