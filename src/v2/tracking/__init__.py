"""Keeping runs and models in MLflow, and finding them again."""
