"""Look at results, and score files"""
