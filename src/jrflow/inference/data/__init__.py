"""From an archive to arrays, and the noise that is drawn for them."""
