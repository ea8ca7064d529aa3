"""The processes of Gapless: their wiring, their lives, and the command line."""
