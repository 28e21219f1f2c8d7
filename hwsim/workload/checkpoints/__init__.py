"""Checkpoints: headers of GGUF and safetensors files, and traces whose weights have the formats that are in them."""
