"""The response fuzzer: random bad answers between good ones, and the conditions that must hold all the same."""
