"""The pages people see: files only."""
