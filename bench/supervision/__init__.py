"""Operation: recovery, hangs, stops, memory, idle cost, the monitor's answers, and a storm of kills."""
