"""The only SQL: tables, one file per noun, migrations."""
