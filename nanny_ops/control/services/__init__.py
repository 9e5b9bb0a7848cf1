"""Decisions: plain functions over the store; no FastAPI, no SQL."""
