"""What a reader looks up in the page: any bar with what was retrieved for it, and every trade.

::

    plan.py        what is shown of a long run, and the sentence about the rest
    symbols.py     a file a symbol: closes, signals, fills, rank letters
    days.py        files of retrieved days: which they were, in which market, and what paid on them
    sequences.py   a file a variant and symbol: retrieved sequences, and the prompts that were read
    accounts.py    a file a variant: round trips and exposure; monthly returns for the page
    files.py       all of them, and what the page must know to find them

The files lie beside the page (:mod:`ragsignal.report.sidecar`) and are loaded when they are looked at.
"""
