"""The inner loop: scenes, songs, signals and scores of a workspace as Python objects, and `hearlab try`."""
