"""One sound of the site: its loudness, its picture, and how it is heard through a hearing loss."""
