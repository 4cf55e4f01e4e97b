"""The strategy that a spec names: its class, whether it takes what the spec gives it, and the code it is made of."""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import backtrader as bt

from ragsignal.config import StrategySpec, Variant, did_you_mean
from ragsignal.errors import ConfigError
from ragsignal.utils import file_digest, import_beside, json_digest, module_folders

_STRATEGIES = "ragsignal.strategies"


def import_here(name: str, what: str, folder: Path | None = None) -> ModuleType:
    """Import a module from ``folder``, a spec's, or from the current folder; ``what`` names in errors what is wanted.

    Raises
    ------
    ConfigError
        If there is no such module.
    """
    try:
        return import_beside(name, folder)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # the module exists, and something that it imports does not
        raise ConfigError(
            f"no module {name!r} ({what}); modules are looked up in {' and in '.join(module_folders(folder))}. "
            f"{_shipped(what)}"
        ) from None


def load_strategy(spec: StrategySpec) -> type[bt.Strategy]:
    """Import ``module:Class``, looked up beside the spec and in the current folder.

    Raises
    ------
    ConfigError
        If there is no such module or class, or it is no Backtrader strategy.
    """
    module_name, class_name = spec.name.split(":")
    module = import_here(module_name, f"strategy {spec.name!r}", spec.folder)
    thing = getattr(module, class_name, None)
    if isinstance(thing, type) and issubclass(thing, bt.Strategy):
        return thing
    if thing is not None:
        raise ConfigError(f"{spec.name} is no strategy: a subclass of backtrader.Strategy was expected")
    here = [name for name, value in vars(module).items() if isinstance(value, type) and issubclass(value, bt.Strategy)]
    near = did_you_mean(class_name, here) if here else f" There is none in it. {_shipped(class_name)}"
    raise ConfigError(f"{module_name} has no strategy {class_name!r}.{near}")


def _shipped(wanted: str) -> str:
    """Name the strategies that this package brings, the nearest one first."""
    # by name: strategies stand on a higher floor, and are named by specs alone
    names = list(importlib.import_module(_STRATEGIES).__all__)
    word = re.findall(r"\w+", wanted)[-1]
    return f"Shipped ones are {_STRATEGIES}:NAME.{did_you_mean(word, names)}"


def check_strategy(variant: Variant) -> None:
    """Raise ``ConfigError`` unless the strategy exists, and takes its params and the variant's signal."""
    spec = variant.strategy
    strategy = load_strategy(spec)
    known = list(strategy.params._getkeys())
    for name in spec.params:
        if name not in known:
            raise ConfigError(f"strategy {spec.name!r} has no param {name!r}.{did_you_mean(name, known)}")
        _check_kind(variant, name, getattr(strategy.params, name))
    if not variant.has_signal:
        return
    if "signal" not in known:
        raise ConfigError(
            f"strategy {spec.name!r} has no param 'signal', so it cannot trade one; add it to its params "
            '(a callable from feed to line), or set signal = "none" in the variant'
        )
    if strategy.params.signal is not None:
        raise ConfigError(
            f"strategy {spec.name!r} of variant {variant.name!r} brings its own signal, which a model's would replace; "
            'set signal = "none" in the variant'
        )


# bool first: to Python true is a number too
_KINDS: dict[str, tuple[type, ...]] = {"true or false": (bool,), "a number": (int, float), "text": (str,)}


def _kind_of(value: object) -> str | None:
    """Which of the kinds that TOML tells apart; None for others, and for a default of None."""
    return next((kind for kind, types in _KINDS.items() if isinstance(value, types)), None)


def _check_kind(variant: Variant, name: str, default: object) -> None:
    """Refuse text where the strategy's own value is a number, a number where it is true or false, and so on."""
    value, wanted = variant.strategy.params[name], _kind_of(default)
    if wanted not in (None, _kind_of(value)) or value != value:  # beyond a dead band of nan lies no signal
        shown = "nan" if value != value else json.dumps(value, default=str)
        raise ConfigError(
            f"variant {variant.name!r}: strategy {variant.strategy.name!r} takes {wanted} as {name}, and not {shown}; "
            f"its own value is {name} = {json.dumps(default)}"
        )


def code_of(spec: StrategySpec) -> str:
    """Digest of the files that a strategy's class and its bases stand in: an edited strategy is another one.

    What they import besides is not followed.
    """
    classes = load_strategy(spec).__mro__
    files = {getattr(sys.modules[part.__module__], "__file__", None) for part in classes}
    return json_digest(sorted(file_digest(Path(file)) for file in files if file))
