"""A LoRA adapter for the language model, and its calibration."""
