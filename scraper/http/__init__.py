"""HTTP: sessions, tokens, proxies and their health, retries."""
