# The worker. PyPI's torch brings CUDA: 5.9 GB, in four layers so that a pull is not one long gunzip.
ARG BASE_IMAGE=python:3.11-slim-bookworm

# uv, the build backend, and the lock file dealt out to the layers: what is large and changes together.
FROM ${BASE_IMAGE} AS tools
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt
COPY locks/bootstrap.txt locks/worker.txt /locks/
RUN python3 -m venv /opt/bootstrap \
    && /opt/bootstrap/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes \
        -r /locks/bootstrap.txt \
    && awk 'BEGIN { layer = "rest" } \
        /^[a-z0-9]/ { layer = "rest" } \
        /^(nvidia|cuda)-/ { layer = "cuda" } \
        /^nvidia-(cudnn|cusparselt|nccl|nvshmem)/ { layer = "nvidia" } \
        /^(torch|triton)==/ { layer = "torch" } \
        { print > "/locks/" layer ".txt" }' /locks/worker.txt

FROM ${BASE_IMAGE} AS deps
# Where uv keeps downloads; `make images` lends it a folder, Docker need not keep any.
ARG UV_CACHE=--no-cache
ENV PATH=/opt/diffrun/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/diffrun/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYC_INVALIDATION_MODE=UNCHECKED_HASH \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    UV_HTTP_TIMEOUT=300 \
    HOME=/tmp \
    USER=diffrun
RUN --mount=type=bind,from=tools,source=/opt/bootstrap,target=/opt/bootstrap \
    --mount=type=bind,from=tools,source=/locks,target=/locks \
    python3 -m venv --without-pip /opt/diffrun/venv \
    && /opt/bootstrap/bin/uv pip install ${UV_CACHE} --link-mode copy --python /opt/diffrun/venv --no-deps \
        --require-hashes --compile-bytecode -r /locks/cuda.txt
RUN --mount=type=bind,from=tools,source=/opt/bootstrap,target=/opt/bootstrap \
    --mount=type=bind,from=tools,source=/locks,target=/locks \
    /opt/bootstrap/bin/uv pip install ${UV_CACHE} --link-mode copy --python /opt/diffrun/venv --no-deps \
        --require-hashes --compile-bytecode -r /locks/nvidia.txt
RUN --mount=type=bind,from=tools,source=/opt/bootstrap,target=/opt/bootstrap \
    --mount=type=bind,from=tools,source=/locks,target=/locks \
    /opt/bootstrap/bin/uv pip install ${UV_CACHE} --link-mode copy --python /opt/diffrun/venv --no-deps \
        --require-hashes --compile-bytecode -r /locks/torch.txt
RUN --mount=type=bind,from=tools,source=/opt/bootstrap,target=/opt/bootstrap \
    --mount=type=bind,from=tools,source=/locks,target=/locks \
    /opt/bootstrap/bin/uv pip install ${UV_CACHE} --link-mode copy --python /opt/diffrun/venv --no-deps \
        --require-hashes --compile-bytecode -r /locks/rest.txt
USER 65532:65532
WORKDIR /tmp
ENTRYPOINT ["python", "-m", "diffrun_worker"]

FROM tools AS code
COPY contracts /src/contracts
COPY worker /src/worker
RUN PYC_INVALIDATION_MODE=UNCHECKED_HASH /opt/bootstrap/bin/uv pip install --no-cache \
        --python /opt/bootstrap --no-deps --no-build-isolation --compile-bytecode \
        --target /opt/diffrun/app /src/contracts /src/worker

FROM deps
COPY --from=code /opt/diffrun/app /opt/diffrun/app
