"""Devices: where models are measured. Every device is a `hytnas-agent` at the other end of a byte stream."""
