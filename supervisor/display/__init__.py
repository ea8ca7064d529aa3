"""The output of commands: tables, durations, the terminal."""
