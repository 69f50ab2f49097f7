# One image for the API, the workers, Beat, Flower and the stand-ins: which of them it is, the command says.
# Layers stand in the order of how seldom they change; a change in app/ costs the last two.
# Must build with the BuildKit of Engine 20.10: no syntax line (it would be pulled), no here-documents.
ARG BASE_IMAGE=python:3.13-slim-trixie
# Which app: its pinned packages, its folder and where that goes below /srv, its queues. Compose says so for another one.
ARG REQUIREMENTS=requirements/app.txt
ARG APP=app
ARG APP_FOLDER=app
ARG QUEUES=queues.toml

# ---- third-party packages, each checked against its hash; pip itself stays in /opt/build
FROM ${BASE_IMAGE} AS packages
# For `strip`: the wheels of compiled Python carry 12 MB of debugging symbols. OpenAI's client, 29 MB for one call, is kept
# compiled alone, without its docstrings; AVIF is not among the pictures that the app takes, and its encoder has 5 MB.
RUN --mount=type=bind,source=deploy/images/install.sh,target=/tmp/install.sh \
    --mount=type=secret,id=ca --mount=type=secret,id=apt_conf --mount=type=secret,id=apt_sources \
    sh /tmp/install.sh binutils
RUN python3 -m venv /opt/build && python3 -m venv --without-pip /opt/venv
ENV PIP_CONFIG_FILE=/run/secrets/pip PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_COLOR=1
ARG REQUIREMENTS
COPY ${REQUIREMENTS} /tmp/app.txt
RUN --mount=type=secret,id=ca --mount=type=secret,id=pip --mount=type=cache,target=/root/.cache/pip \
    /opt/build/bin/pip --python /opt/venv/bin/python install --quiet --require-hashes -r /tmp/app.txt && \
    find /opt/venv/lib -type d \( -name tests -o -path '*/sqlalchemy/testing' -o -path '*/tornado/test' -o -path '*/humanize/locale' \) \
    -prune -exec rm -r {} + && \
    cd /opt/venv/lib/python3.*/site-packages && rm -f pillow.libs/libavif-* PIL/_avif.* && \
    find . -type f -name '*.so*' -exec strip --strip-unneeded {} + && find . -name '*.pyi' -delete && \
    if [ -d openai ]; then find openai -name __pycache__ -prune -exec rm -r {} + && \
    python3 -m compileall -q -b -o 2 openai && find openai -name '*.py' -delete; fi

# ---- pg_dump and pg_restore, with the libraries that the base image lacks: their package would bring Perl
FROM ${BASE_IMAGE} AS postgresql
RUN --mount=type=bind,source=deploy/images/install.sh,target=/tmp/install.sh \
    --mount=type=secret,id=ca --mount=type=secret,id=apt_conf --mount=type=secret,id=apt_sources \
    ls /usr/lib/*-linux-gnu >/tmp/before && sh /tmp/install.sh postgresql-client-17 && \
    install -D -t /opt/postgresql/usr/local/bin /usr/lib/postgresql/17/bin/pg_dump /usr/lib/postgresql/17/bin/pg_restore && \
    for library in $(ldd /opt/postgresql/usr/local/bin/* | sed -n 's|.* => /\(usr/\)*lib/\(.*\) (.*|\2|p' | sort -u); do \
    grep -qx "$(basename "$library")" /tmp/before || install -D "/usr/lib/$library" "/opt/postgresql/usr/lib/$library"; done

# ---- celery_runtime, as a tree to be laid over /opt/venv
FROM packages AS runtime
COPY requirements/build.txt /tmp/
RUN --mount=type=secret,id=ca --mount=type=secret,id=pip --mount=type=cache,target=/root/.cache/pip \
    /opt/build/bin/pip install --quiet --require-hashes -r /tmp/build.txt
WORKDIR /build
COPY pyproject.toml ./
COPY celery_runtime celery_runtime
RUN /opt/build/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist . && \
    /opt/build/bin/pip --python /opt/venv/bin/python install --quiet --no-deps --prefix /opt/runtime dist/*.whl

# ---- the application, with its bytecode: the root file system is read-only later, and import time counts
FROM ${BASE_IMAGE} AS source
ARG APP
ARG APP_FOLDER
ARG QUEUES
WORKDIR /srv
COPY ${APP} ${APP_FOLDER}
COPY ${QUEUES} ./
# A checkout may keep its files to its owner (umask 077).
RUN python3 -m compileall -q ${APP_FOLDER} && chmod -R a+rX .

FROM ${BASE_IMAGE}
RUN groupadd --gid 10001 celery && \
    useradd --uid 10001 --gid celery --home-dir /srv --no-create-home --no-log-init --shell /usr/sbin/nologin celery && \
    install -d -o celery -g celery -m 0700 /backups
WORKDIR /srv
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/srv PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
LABEL celery-blueprint.built=1
USER 10001:10001
CMD ["python", "-m", "app.api"]
COPY --from=postgresql /opt/postgresql /
COPY --from=packages /opt/venv /opt/venv
COPY --from=runtime /opt/runtime /opt/venv
COPY --from=source /srv /srv
