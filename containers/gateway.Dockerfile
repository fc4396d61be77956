# The gateway. Dependencies in layers of their own, the code in the last: `deps` is everything but code.
# The pages are built before: inspectors/web/dist is taken as it is.
ARG BASE_IMAGE=python:3.11-slim-bookworm

# uv and the build backend, lent to the other stages.
FROM ${BASE_IMAGE} AS tools
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt
COPY locks/bootstrap.txt locks/gateway.txt /locks/
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
    USER=diffrun \
    OMP_NUM_THREADS=1 \
    OPENBLAS_NUM_THREADS=1
RUN --mount=type=bind,from=tools,source=/opt/bootstrap,target=/opt/bootstrap \
    --mount=type=bind,from=tools,source=/locks,target=/locks \
    python3 -m venv --without-pip /opt/diffrun/venv \
    && /opt/bootstrap/bin/uv pip install ${UV_CACHE} --link-mode copy --python /opt/diffrun/venv --no-deps \
        --require-hashes --compile-bytecode -r /locks/gateway.txt
USER 65532:65532
WORKDIR /tmp
EXPOSE 8080 9090
ENTRYPOINT ["python", "-m", "diffrun_gateway"]

FROM tools AS code
COPY contracts /src/contracts
COPY inspectors/gateway /src/gateway
RUN PYC_INVALIDATION_MODE=UNCHECKED_HASH /opt/bootstrap/bin/uv pip install --no-cache \
        --python /opt/bootstrap --no-deps --no-build-isolation --compile-bytecode \
        --target /opt/diffrun/app /src/contracts /src/gateway

FROM deps
COPY inspectors/web/dist /opt/diffrun/static
COPY --from=code /opt/diffrun/app /opt/diffrun/app
