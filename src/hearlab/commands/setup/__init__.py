"""Data, networks and what is installed"""
