"""The operating system's side of a process: memory, parent, core dumps, /proc."""
