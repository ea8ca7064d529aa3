"""What every process of Gapless shares: configuration, logs, the spool, the quota. Imports nothing of ours."""
