"""Backends: where tensors live and how an op is carried out at once."""
