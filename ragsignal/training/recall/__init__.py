"""The language model that names titles and prefixes, from the teacher's best hits."""
