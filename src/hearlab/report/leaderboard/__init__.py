"""The leaderboard: entries, their origin, and whether they can be made again."""
