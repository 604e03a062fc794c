"""The auditory periphery that HASPI, HASQI and HAAQI share (Kates 2013; Kates and Arehart 2014, 2016, 2021).

From a sound to the firing of the auditory nerve: conversion to 24 kHz, alignment, middle ear, gammatone filterbank,
outer-hair-cell compression and inner-hair-cell adaptation, for normal and for impaired hearing.

Arrays of several bands are (bands, n), low frequencies first. `level` is always the level in dB SPL of a signal whose
RMS is 1.
"""
