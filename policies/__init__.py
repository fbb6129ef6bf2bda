"""Learned upper-level policies: the decision process, training by PPO, evaluation, export to ONNX."""
