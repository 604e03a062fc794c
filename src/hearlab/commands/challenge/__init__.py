"""Take part in a challenge"""
