"""The proof: the whole system as real processes between a simulated Reddit and a real broker, while things go wrong."""
