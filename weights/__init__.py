"""Shipped network weights as package data: manifest.json and the safetensors files that it names."""
