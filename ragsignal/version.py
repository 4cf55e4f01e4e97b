"""The version of this package; imports nothing, so that ``import ragsignal`` is light."""

VERSION = "0.1.0"
