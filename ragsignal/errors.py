"""What can go wrong, as one tree.

::

    RagSignalError
    ├── ConfigError       a spec that cannot be understood (exit code 2)
    ├── DataError         prices that cannot be trusted
    ├── LookAheadError    something asked for what was not known yet
    ├── ModelError        weights, tokenizers, adapters, prompts that do not fit
    └── StoreError        a signal store that cannot be read or written

Every message says what, where, what was expected, and the next command to type.
Catch one for all::

    try:
        ragsignal.load_pipeline("shipped:sample")
    except ragsignal.RagSignalError as error:
        print(error)
"""

from __future__ import annotations


class RagSignalError(Exception):
    """Base class of every error this library raises on purpose."""


class ConfigError(RagSignalError):
    """A spec or an argument is wrong."""


class DataError(RagSignalError):
    """Prices are missing, inconsistent or impossible; the message names file, rows and repair."""


class LookAheadError(RagSignalError):
    """A signal would have depended on something that was not known at its ``as_of``."""


class ModelError(RagSignalError):
    """Weights, tokenizer, adapter or prompt cannot be used as asked."""


class StoreError(RagSignalError):
    """The signal store cannot be read or written."""
