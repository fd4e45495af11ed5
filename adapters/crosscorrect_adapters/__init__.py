"""Adapters that ship with crosscorrect: one module per framework, the only code that imports it."""
