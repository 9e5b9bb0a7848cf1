"""What each call does: one module per family of paths, each with a tuple ``ROUTES``."""
