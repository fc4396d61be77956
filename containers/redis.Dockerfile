# Debian's Redis, for clusters that cannot pull the official image.
ARG BASE_IMAGE=python:3.11-slim-bookworm
FROM ${BASE_IMAGE}
RUN apt-get update \
    && apt-get install -y --no-install-recommends redis-server \
    && rm -rf /var/lib/apt/lists/* /etc/redis \
    && install -d -o 65532 -g 65532 /data
USER 65532:65532
WORKDIR /data
EXPOSE 6379
ENTRYPOINT []
CMD ["redis-server"]
