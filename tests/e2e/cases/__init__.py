"""Cases: faults that other programs met, each with its input and the right outcome, against real processes."""
