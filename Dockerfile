# contit-mcp as a container image: MCP over HTTP at port 8000, or another command given as arguments (docs/deployment.md).
#
#   docker build -t contit-mcp .
#   docker run --rm -p 8000:8000 contit-mcp            HTTP; each caller brings a Contit credential
#   docker run --rm -i -e CONTIT_API_KEY contit-mcp stdio
#
# Any image with Python 3.13 and Debian's apt can be the base. If pip needs your own package index or certificate
# authority, pass them as build secrets, which stay in no layer:
#
#   docker build --secret id=pip_conf,src=pip.conf --secret id=ca_bundle,src=ca.pem -t contit-mcp .
ARG BASE_IMAGE=python:3.13-slim

FROM ${BASE_IMAGE} AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1
WORKDIR /src
# The runtime environment has no pip: the pip of the build environment installs into it.
RUN python3 -m venv --without-pip /opt/venv && python3 -m venv /opt/build
COPY requirements.lock requirements/build.txt ./
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca_bundle,target=/run/secrets/ca_bundle \
    if [ -s /run/secrets/ca_bundle ]; then export PIP_CERT=/run/secrets/ca_bundle; fi; \
    set -- install --require-hashes --no-deps --only-binary :all:; \
    /opt/build/bin/pip "$@" -r build.txt \
 && /opt/build/bin/pip --python /opt/venv/bin/python "$@" -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY contit_mcp ./contit_mcp
RUN /opt/build/bin/pip wheel --no-deps --no-index --no-build-isolation --wheel-dir /wheels . \
 && /opt/build/bin/pip --python /opt/venv/bin/python install --no-deps --no-index /wheels/*.whl \
 && /opt/build/bin/pip --python /opt/venv/bin/python check

FROM ${BASE_IMAGE} AS runtime
LABEL org.opencontainers.image.title="contit-mcp" \
      org.opencontainers.image.description="Ask the Contit AI assistant about your content, from any MCP host." \
      org.opencontainers.image.licenses="MIT"
# tini forwards signals and reaps the processes of health checks. The base's Debian release determines the versions.
# hadolint ignore=DL3008
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates tini \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log \
 && groupadd --gid 10001 contit \
 && useradd --uid 10001 --gid contit --no-create-home --home-dir /var/lib/contit-mcp --shell /usr/sbin/nologin contit \
 && install -d -o contit -g contit -m 0700 /var/lib/contit-mcp
COPY --from=builder /opt/venv /opt/venv
COPY configs/container/contit-mcp.toml /etc/contit-mcp/contit-mcp.toml
COPY configs/container/contit-mcp /usr/local/bin/contit-mcp
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /var/lib/contit-mcp
# By number, so that Kubernetes can check that it is not root (runAsNonRoot).
USER 10001:10001
# The SQLite file with the runs, which outlives the container.
VOLUME /var/lib/contit-mcp
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s --retries=3 CMD ["/usr/local/bin/contit-mcp", "healthcheck"]
ENTRYPOINT ["tini", "--", "/usr/local/bin/contit-mcp"]
