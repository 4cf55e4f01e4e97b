"""One explained signal as a page, beside a report, and in a notebook.

::

    sentences.py   what is said of it
    drawings.py    hits over the query, as SVG; bars and tracks in per cent of their width
    page.py        the page
    beside.py      pages in a folder; those beside a run, which its report links
    view.py        an explanation from Python, and how a notebook shows it
"""
