# Two stages: what builds is not in what runs. Nothing but the hashed lock is installed.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY requirements.lock ./
RUN python -m venv /opt/perfhouse \
    && /opt/perfhouse/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY connectors connectors
COPY expectations expectations
COPY perfhouse perfhouse
COPY dags dags
COPY dbt_project dbt_project
RUN /opt/perfhouse/bin/pip install --no-cache-dir --disable-pip-version-check --no-index --no-deps --no-build-isolation .

FROM python:3.11-slim-bookworm
RUN groupadd --gid 50000 perfhouse \
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
USER perfhouse
CMD ["perfhouse", "--help"]
