"""Migrations of older databases, step by step; run by alembic."""
