"""Songs of the demo data set, written by synthesisers from one plan each."""
