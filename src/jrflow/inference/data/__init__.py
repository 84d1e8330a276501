"""From an archive to arrays, and random noise for these arrays."""
