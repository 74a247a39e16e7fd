"""The world's side of the phone network: how it behaves, and what the phones on it say."""
