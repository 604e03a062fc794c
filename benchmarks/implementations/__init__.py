"""HearLab and the published implementation, each in a worker process of its own."""
