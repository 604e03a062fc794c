"""Run experiments"""
