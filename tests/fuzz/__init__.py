"""The response fuzzer: random bad answers between good ones, and what must hold all the same."""
