#!/bin/sh
# What a newcomer can do after the demo.
cat <<'TEXT'

Where to look next (first: source .venv/bin/activate)
  report/index.html                     open it in a browser: scores, and pages to listen (make site OPEN=1)
  metrics/speech.csv, metrics/music.csv the scores of every scene, song and listener
  data/demo/rendered/dev/*_mix_CH1.wav  what the hearing aid's front microphones hear
  data/demo/enhanced/*.wav              what the listener hears
  data/demo/enhanced_music/*/*/*.flac   a song's stems and remix for each listener
  make mlflow                           this run and later ones in MLflow: parameters, scores, plots, times
  hearlab show S06001                   waveforms, spectrograms, audiograms and scores in one picture
  dvc plots show                        HASPI against SNR, HAAQI of the stems, as a page for the browser
TEXT
if [ -e .git ]; then
    cat <<'TEXT'
  dvc exp run -S enhance.gain=6         the same with 6 dB more gain; then: hearlab compare HEAD workspace
TEXT
fi
cat <<'TEXT'
  docs/own-system.md                    how to put in your own enhancer
TEXT
