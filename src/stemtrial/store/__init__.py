"""Generic storage: a content-addressed cache of arrays, and crash-safe chunks of a run."""

from stemtrial.store.cache import cached, content_hash, package_hash
from stemtrial.store.chunks import ChunkStore, digest_tables, map_chunks, write_atomic

__all__ = [
    "ChunkStore",
    "cached",
    "content_hash",
    "digest_tables",
    "map_chunks",
    "package_hash",
    "write_atomic",
]
