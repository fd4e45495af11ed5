"""Case files, their JSON Schema and the committed expectations: data only."""
