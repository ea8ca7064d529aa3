"""How it asks: sessions, tokens, proxies and their health, retries."""
