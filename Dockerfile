# HearLab's environment and source, for a cluster (docs/cluster.md) or for a machine without Python:
#   docker build -t hearlab .
#   docker run --rm -it -v "$PWD":/work -w /work hearlab dvc repro
# Each step below is one of the Makefile, which CI runs without Docker too (.github/workflows/tests.yml).
FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates git make python3 python3-venv \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /srv/hearlab
COPY . .
# cpu or cuda: which build of PyTorch.
ARG TORCH=cpu
RUN make install TORCH=$TORCH
ENV PATH=/srv/hearlab/.venv/bin:$PATH
# The repository that is mounted belongs to another user than the container's.
RUN git config --system --add safe.directory '*'
CMD ["hearlab", "--help"]
