"""Weights, prompts, and P(rise) from label-token logits."""
