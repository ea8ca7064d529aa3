"""What commands print: tables, durations, the terminal."""
