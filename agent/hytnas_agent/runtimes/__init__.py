"""Inference runtimes behind one small interface, imported only in workers."""
