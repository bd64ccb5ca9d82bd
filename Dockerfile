# Two stages: what builds is not in what runs. Installed is the hashed lock, without the tools of
# developers. Pin the base for production: PYTHON_IMAGE=python:3.11-slim-bookworm@sha256:...
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
FROM ${PYTHON_IMAGE} AS build
# A package index and certificates of your own, where the network is closed.
ARG PIP_INDEX_URL
ARG PIP_CERT
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY requirements.lock pyproject.toml ./
COPY tools/locked.py tools/locked.py
RUN python -m venv /opt/tools \
    && python tools/locked.py --only hatchling > tools.lock \
    && /opt/tools/bin/pip install --no-deps --require-hashes -r tools.lock \
    && python -m venv --without-pip /opt/perfhouse \
    && python tools/locked.py airflow semantic > run.lock \
    && /opt/tools/bin/pip --python /opt/perfhouse/bin/python install --no-deps --require-hashes -r run.lock
COPY README.md LICENSE ./
COPY connectors connectors
COPY expectations expectations
COPY perfhouse perfhouse
COPY dags dags
COPY dbt_project dbt_project
RUN /opt/tools/bin/pip wheel --no-index --no-deps --no-build-isolation --wheel-dir /wheel . \
    && /opt/tools/bin/pip --python /opt/perfhouse/bin/python install --no-index --no-deps /wheel/*.whl\
    && /opt/tools/bin/pip --python /opt/perfhouse/bin/python check

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="perfhouse" \
    org.opencontainers.image.version="0.1.0" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.description="Monthly scorecards of customer-service managers: Airflow, dbt, DuckDB"
# The base's own pip goes: nothing is installed from here on.
RUN rm -rf /usr/local/lib/python3.11/ensurepip /usr/local/lib/python3.11/site-packages/* /usr/local/bin/pip* \
    && groupadd --gid 50000 perfhouse \
    && useradd --uid 50000 --gid 50000 --home-dir /srv/perfhouse --no-log-init --shell /usr/sbin/nologin perfhouse \
    && mkdir -p /srv/perfhouse/home/published /srv/perfhouse/airflow /srv/perfhouse/company /srv/perfhouse/data \
    && chown -R perfhouse:perfhouse /srv/perfhouse
COPY --from=build /opt/perfhouse /opt/perfhouse
ENV PATH=/opt/perfhouse/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    AIRFLOW_HOME=/srv/perfhouse/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/perfhouse/lib/python3.11/site-packages/perfhouse/_project/dags \
    AIRFLOW__CORE__LOAD_EXAMPLES=false \
    AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION=false \
    AIRFLOW__USAGE_DATA_COLLECTION__ENABLED=false \
    PERFHOUSE_HOME=/srv/perfhouse/home \
    GX_ANALYTICS_ENABLED=false \
    DBT_SEND_ANONYMOUS_USAGE_STATS=false \
    DO_NOT_TRACK=1
WORKDIR /srv/perfhouse
USER 50000:50000
# One image, many processes: each has its own health check in docker-compose.yml.
CMD ["perfhouse", "--help"]
