"""The retriever, from the language model's opinion of single candidates."""
