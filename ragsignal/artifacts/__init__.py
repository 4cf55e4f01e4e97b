"""Weights and their cards: what was trained, on what, through which day; every file by its hash."""

from __future__ import annotations

from ragsignal.artifacts.adapters import adapter_config, check_adapter_files, check_tensors, with_adapter
from ragsignal.artifacts.artifact import Artifact, load_artifact, refuse_foreign, save_artifact, shipped_status
from ragsignal.artifacts.card import CARD, Base, Calibration, Card, DataSource, Kind, Span
from ragsignal.artifacts.sound import check_encoder, check_fit, reading
from ragsignal.artifacts.weights import EMBEDDED, Weights, WeightsStatus, digest_of_folder, embedded_status, resolve

__all__ = [
    "CARD",
    "EMBEDDED",
    "Artifact",
    "Base",
    "Calibration",
    "Card",
    "DataSource",
    "Kind",
    "Span",
    "Weights",
    "WeightsStatus",
    "adapter_config",
    "check_adapter_files",
    "check_encoder",
    "check_fit",
    "check_tensors",
    "digest_of_folder",
    "embedded_status",
    "load_artifact",
    "reading",
    "refuse_foreign",
    "resolve",
    "save_artifact",
    "shipped_status",
    "with_adapter",
]
