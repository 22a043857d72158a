"""A store of checksummed records that many processes fill and read: a 32-byte key -> bytes."""
