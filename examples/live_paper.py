"""Trade a spec's variant on bars as they come, on paper.

    python examples/live_paper.py SPEC                  # until SIGTERM or Ctrl-C; start it again, and it goes on
    python examples/live_paper.py SPEC --once           # what is there by now, for a job that runs once a day

The spec has `source = "folder"` (files that are appended to) or `"yfinance"`; see docs/live.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import ragsignal
from ragsignal.config import load_spec
from ragsignal.trading import LiveOptions, run_live


def main() -> int:
    """Run, and say what the account came to: JSON on stdout, words on stderr."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("spec", help="TOML of the experiment; days before its data.start are history")
    parser.add_argument("--variant", help="which one is traded; by default the first that has a signal")
    parser.add_argument("--journal", type=Path, help="default: runs/live/NAME.sqlite, of the spec's name")
    parser.add_argument("--poll", type=float, default=60.0, help="seconds between two looks at the source")
    parser.add_argument("--wait", type=float, default=600.0, help="seconds that a day waits for bars that it lacks")
    parser.add_argument("--once", action="store_true", help="trade what is there, and end")
    asked = parser.parse_args()
    try:
        spec = load_spec(asked.spec)
        journal = asked.journal or Path("runs") / "live" / f"{spec.name}.sqlite"
        options = LiveOptions(poll=asked.poll, wait=asked.wait, once=asked.once)
        result = run_live(spec, asked.variant, journal, options, lambda words: print(words, file=sys.stderr))
    except ragsignal.RagSignalError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, ragsignal.ConfigError) else 1
    except KeyboardInterrupt:  # before the first day: later ones are ended in order
        print("stopped; start it again, and it goes on where it was", file=sys.stderr)
        return 130
    if result is not None:
        account = {"last_day": str(result.equity.index[-1].date()), "equity": float(result.equity.iloc[-1])}
        print(json.dumps({"journal": str(journal), **account, "orders": len(result.orders), **result.metrics}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
