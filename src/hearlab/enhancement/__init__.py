"""A hearing aid that learns: a small network hears six microphones and sets gains in bands."""
