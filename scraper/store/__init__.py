"""Where it goes: tables, migrations, batched upserts, and the frontier with its leases."""
