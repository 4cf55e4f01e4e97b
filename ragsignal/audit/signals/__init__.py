"""Whether signals and retrieval look ahead."""
