"""What any room may need: digests, files, databases, records, versions; knows nothing of signals."""
