"""From runs to what a person reads: frames, tables, figures, pages."""
