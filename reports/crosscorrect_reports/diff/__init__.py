"""What two runs have changed, as a person or a machine reads it: terminal, Markdown, page, JSON."""
