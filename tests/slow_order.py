"""In which order the slow tests run."""

# Files of slow tests that take minutes, in an order in which two workers that take file by file have no wait: the first
# makes the small demo project that others share, and no long file comes last.
LONGEST_FIRST = (
    "test_pipeline",
    "stages/test_same_bytes",
    "stages/test_other_processors",
    "test_memo_pipeline",
    "remotes/test_remotes",
    "datasets/packages/test_full_size_pipeline",
    "datasets/packages/test_packages_stay",
    "tracking/test_tracking_server",
    "compute/test_cluster",
    "report/leaderboard/test_leaderboard_verify",
    "compute/test_disk_full",
    "soak/test_soak",
    "separation/test_trained_separator",
    "test_make",
    "compute/test_unchanged",
    "test_kill_pipeline",
)
