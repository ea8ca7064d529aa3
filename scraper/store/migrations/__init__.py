"""How older databases become like today's, step by step; run by alembic."""
