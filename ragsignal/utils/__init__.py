"""What any room may need: digests, files, databases, records, versions; knows nothing of signals."""

from __future__ import annotations

from ragsignal.utils.clock import (
    ALL_WEEK,
    DAILY,
    Clock,
    as_stamps,
    clock_named,
    day_of,
    days_in,
    is_intraday,
    is_through,
    lower,
    minute_of_day,
    read_stamp,
    stamp_text,
    stamp_texts,
    unit_of,
    upper,
)
from ragsignal.utils.database import Database, SharedConnection, open_database
from ragsignal.utils.database_url import DatabaseUrl, expanded, masked
from ragsignal.utils.digest import array_digest, canonical_json, file_digest, json_digest
from ragsignal.utils.disk import disk_is_full, full_disk, needs_room
from ragsignal.utils.files import cache_folder, write_file, write_folder
from ragsignal.utils.locks import locked
from ragsignal.utils.modules import find_beside, import_beside, module_folders
from ragsignal.utils.progress import Progress, Steps, silent, silent_steps
from ragsignal.utils.quiet import quiet_loading
from ragsignal.utils.records import Record, plain, rounded, write_json
from ragsignal.utils.runs import LATEST, NewRun, find_run
from ragsignal.utils.threads import SIGNALS
from ragsignal.utils.versions import libraries_of, versions_of
from ragsignal.utils.words import and_more, first_names

__all__ = [
    "ALL_WEEK",
    "DAILY",
    "LATEST",
    "SIGNALS",
    "Clock",
    "Database",
    "DatabaseUrl",
    "NewRun",
    "Progress",
    "Record",
    "SharedConnection",
    "Steps",
    "and_more",
    "array_digest",
    "as_stamps",
    "cache_folder",
    "canonical_json",
    "clock_named",
    "day_of",
    "days_in",
    "disk_is_full",
    "expanded",
    "file_digest",
    "find_beside",
    "find_run",
    "first_names",
    "full_disk",
    "import_beside",
    "is_intraday",
    "is_through",
    "json_digest",
    "libraries_of",
    "locked",
    "lower",
    "masked",
    "minute_of_day",
    "module_folders",
    "needs_room",
    "open_database",
    "plain",
    "quiet_loading",
    "read_stamp",
    "rounded",
    "silent",
    "silent_steps",
    "stamp_text",
    "stamp_texts",
    "unit_of",
    "upper",
    "versions_of",
    "write_file",
    "write_folder",
    "write_json",
]
