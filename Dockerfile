# The image of AEGIS Sink: Python, the locked dependencies, the program. No pip, no compiler.
#   docker build -t aegis-sink:0.1.0 .
#   docker run --read-only -v aegis:/data -p 8080:8080 -e AEGIS_WEBHOOK_TOKEN=… aegis-sink:0.1.0
ARG PYTHON_VERSION=3.13

FROM python:${PYTHON_VERSION}-slim AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
COPY requirements/build.txt requirements/runtime.txt requirements/
# --only-binary: where a wheel is missing, the build says so instead of asking for a compiler.
RUN pip install --require-hashes --only-binary :all: -r requirements/build.txt \
 && python -m venv --without-pip /opt/aegis-sink \
 && pip --python /opt/aegis-sink/bin/python install --require-hashes --only-binary :all: \
      -r requirements/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY aegis_sink aegis_sink
RUN pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
 && pip --python /opt/aegis-sink/bin/python install --no-deps --no-index dist/*.whl \
 && install -d -o 65532 -g 65532 /data

FROM python:${PYTHON_VERSION}-slim
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="aegis-sink" \
      org.opencontainers.image.description="The receiver behind K8sGPT's webhook: says why, shows the proof, and says it once." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# The program's environment has none; this is the base image's.
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3*/site-packages/pip* \
      /usr/local/lib/python3*/ensurepip
COPY --from=build /opt/aegis-sink /opt/aegis-sink
COPY --from=build --chown=65532:65532 /data /data
# Python and SQLite fall back to the working directory for temporary files when /tmp is read-only:
# only /data is ever written.
WORKDIR /data
ENV PATH="/opt/aegis-sink/bin:$PATH" \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    AEGIS_HOST=0.0.0.0 \
    AEGIS_DATABASE_URL=sqlite:////data/aegis-sink.db \
    AEGIS_LOG_FORMAT=json
USER 65532:65532
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
  CMD ["python", "-c", "import os, urllib.request as web; web.urlopen(f\"http://127.0.0.1:{os.environ.get('AEGIS_PORT') or 8080}/healthz\", timeout=3)"]
ENTRYPOINT ["aegis-sink"]
CMD ["serve"]
