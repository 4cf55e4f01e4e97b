"""The look-ahead proof of a spec, of a strategy, of an indicator, of a feature: see docs/look-ahead.md.

``spec.audit_spec`` runs every test that there is on what a spec runs; ``spec.audit_subjects`` the tests of code on
anything that is named. Nothing is imported here: worker processes need the tests of code alone.
"""
