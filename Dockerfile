# One image for all that runs in production: `serve` (the API, probed at /health and /ready) and
# `work` (the deliveries). It holds no database: give DATABASE_URL and COORDHUB_TOKEN_KEY, at the start and
# never here. Nothing is written but below /tmp: `docker run --read-only --tmpfs /tmp --cap-drop ALL
# --security-opt no-new-privileges` is enough. A worker has no door: start it with --no-healthcheck and watch
# COORDHUB_METRICS_PORT.

FROM python:3.12-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/coordhub
WORKDIR /app
COPY requirements.lock ./
RUN /opt/coordhub/bin/pip install --no-deps --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md ./
COPY src ./src
# Editable, so that /app looks like a checkout: the migrations lie beside src, not inside.
RUN /opt/coordhub/bin/pip install --no-deps --no-build-isolation --editable .

FROM python:3.12-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/coordhub --create-home coordhub
COPY --from=build /opt/coordhub /opt/coordhub
COPY --from=build /app /app
COPY alembic /app/alembic
ENV PATH=/opt/coordhub/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    COORDHUB_HOME=/var/lib/coordhub \
    COORDHUB_HOST=0.0.0.0
USER coordhub
WORKDIR /var/lib/coordhub
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ.get('COORDHUB_PORT', '8000') + '/ready', timeout=4)"]
ENTRYPOINT ["coordhub"]
CMD ["serve"]
