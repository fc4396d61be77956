# The operator. Dependencies in layers of their own, the code in the last: `deps` is everything but code.
ARG BASE_IMAGE=python:3.11-slim-bookworm

# uv and the build backend, lent to the other stages.
FROM ${BASE_IMAGE} AS tools
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt
COPY locks/bootstrap.txt locks/operator.txt /locks/
RUN python3 -m venv /opt/bootstrap \
    && /opt/bootstrap/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes \
        -r /locks/bootstrap.txt

FROM ${BASE_IMAGE} AS deps
# Where uv keeps downloads; `make images` lends it a folder, Docker need not keep any.
ARG UV_CACHE=--no-cache
ENV PATH=/opt/diffrun/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/diffrun/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYC_INVALIDATION_MODE=UNCHECKED_HASH \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    HOME=/tmp \
    USER=diffrun
RUN --mount=type=bind,from=tools,source=/opt/bootstrap,target=/opt/bootstrap \
    --mount=type=bind,from=tools,source=/locks,target=/locks \
    python3 -m venv --without-pip /opt/diffrun/venv \
    && /opt/bootstrap/bin/uv pip install ${UV_CACHE} --link-mode copy --python /opt/diffrun/venv --no-deps \
        --require-hashes --compile-bytecode -r /locks/operator.txt
USER 65532:65532
WORKDIR /tmp
ENTRYPOINT ["python", "-m", "diffrun_operator"]

FROM tools AS code
COPY contracts /src/contracts
COPY operator /src/operator
RUN PYC_INVALIDATION_MODE=UNCHECKED_HASH /opt/bootstrap/bin/uv pip install --no-cache \
        --python /opt/bootstrap --no-deps --no-build-isolation --compile-bytecode \
        --target /opt/diffrun/app /src/contracts /src/operator

FROM deps
COPY --from=code /opt/diffrun/app /opt/diffrun/app
