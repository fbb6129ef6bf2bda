"""Learned policies as ONNX files: opened, checked, evaluated."""
