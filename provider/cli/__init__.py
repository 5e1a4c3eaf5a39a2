"""`freehold`, the developer's client: speaks HTTP to a provider and knows nothing of how it is made."""
