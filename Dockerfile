# The gateway's image. Build: docker build -t iotlink-gateway .    Run, read-only:
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges -v iotlink:/var/lib/iotlink \
#     -v ./devices.yaml:/etc/iotlink/devices.yaml:ro -p 5023:5023 -p 127.0.0.1:8080:8080 iotlink-gateway
# What it writes stands on the volume /var/lib/iotlink. Its configuration is /etc/iotlink/gateway.yaml (deploy/etc):
# mount your own there, or set single values (-e IOTLINK_LOG__LEVEL=debug).

FROM python:3.11.15-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PYTHONDONTWRITEBYTECODE=1
WORKDIR /build
COPY requirements.lock requirements-build.lock ./
RUN python -m venv --without-pip /opt/iotlink \
 && python -m pip --python /opt/iotlink/bin/python install --require-hashes --only-binary :all: --no-compile \
      -r requirements.lock \
 && python -m venv /build/tools \
 && /build/tools/bin/python -m pip install --require-hashes --only-binary :all: -r requirements-build.lock

# Of what AWS describes, the gateway needs its stream and the ways to credentials. Sources and stubs of compiled modules
# are for those who compile them.
RUN cd /opt/iotlink/lib/python3.11/site-packages \
 && find botocore/data -mindepth 1 -maxdepth 1 -type d ! -name kinesis ! -name sts ! -name sso ! -name sso-oidc \
      -exec rm -r {} + \
 && find . -type f \( -name '*.c' -o -name '*.h' -o -name '*.pxd' -o -name '*.pxi' -o -name '*.pyx' -o -name '*.pyi' \) \
      -delete \
 && find . -type d \( -name tests -o -name include \) -prune -exec rm -r {} +

COPY pyproject.toml README.md LICENSE NOTICE ./
COPY decoders decoders
COPY gateway gateway
COPY loadtest loadtest
COPY product_specs product_specs
RUN /build/tools/bin/python -m pip wheel --no-deps --no-index --no-build-isolation --wheel-dir dist . \
 && python -m pip --python /opt/iotlink/bin/python install --no-deps --no-index --no-compile dist/*.whl \
 && /opt/iotlink/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/iotlink/lib

# The codecs of all shipped products are proven here, once: a start only looks the proofs up, and writes nothing.
ENV IOTLINK_CACHE_DIR=/opt/iotlink/cache
RUN /opt/iotlink/bin/iotlink spec test > proofs.txt \
 && cd /opt/iotlink && rm -r include && find bin -mindepth 1 ! -name iotlink ! -name 'python*' -delete \
 && chmod -R u=rwX,go=rX .

FROM python:3.11.15-slim-bookworm
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="IoT-Link Gateway" \
      org.opencontainers.image.description="Device frames over TCP, MQTT and REST become ordered records in Amazon Kinesis." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="python:3.11.15-slim-bookworm"

# Nothing can be installed in a running container: there is no pip.
RUN groupadd --gid 10001 iotlink \
 && useradd --uid 10001 --gid 10001 --home-dir /var/lib/iotlink --no-create-home --shell /usr/sbin/nologin iotlink \
 && install -d -o 10001 -g 10001 -m 0750 /var/lib/iotlink \
 && rm -rf /usr/local/bin/pip* /usr/local/bin/wheel /usr/local/bin/idle* /usr/local/bin/2to3* /usr/local/bin/pydoc* \
      /usr/local/lib/python3.11/site-packages/* /usr/local/lib/python3.11/ensurepip /usr/local/lib/python3.11/idlelib \
      /usr/local/lib/python3.11/lib2to3 /usr/local/lib/python3.11/tkinter /usr/local/lib/python3.11/turtledemo
COPY deploy/etc /etc/iotlink
COPY --from=build /opt/iotlink /opt/iotlink

ENV PATH=/opt/iotlink/bin:/usr/local/bin:/usr/bin:/bin \
    IOTLINK_CACHE_DIR=/opt/iotlink/cache \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /var/lib/iotlink
VOLUME /var/lib/iotlink
# TCP devices, MQTT, REST, metrics and health. The operations API stays on the container's own loopback.
EXPOSE 5023 1883 8080 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s --retries=3 \
  CMD ["iotlink", "healthcheck", "--config", "/etc/iotlink/gateway.yaml"]
ENTRYPOINT ["iotlink"]
CMD ["serve", "--config", "/etc/iotlink/gateway.yaml"]
