# The build stage holds the installer; the image that runs holds Python, the locked packages and the service.
FROM python:3.13-slim-trixie AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 \
    PIP_CACHE_DIR=/cache/pip UV_CACHE_DIR=/cache/uv
WORKDIR /app
RUN python3 -m venv /opt/installer && python3 -m venv --without-pip /opt/aftercare
COPY requirements-uv.lock requirements.lock ./
RUN --mount=type=cache,target=/cache \
    /opt/installer/bin/pip install --require-hashes -r requirements-uv.lock \
    && /opt/installer/bin/uv pip sync --python /opt/aftercare/bin/python --require-hashes requirements-uv.lock requirements.lock
COPY . .
RUN /opt/installer/bin/uv pip install --python /opt/aftercare/bin/python --no-deps --no-build-isolation --editable . \
    && /opt/installer/bin/uv pip uninstall --python /opt/aftercare/bin/python uv flit-core

FROM python:3.13-slim-trixie
ENV PATH=/opt/aftercare/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    AFTERCARE_DATABASE_URL=sqlite:////data/aftercare.db AFTERCARE_WEB__HOST=0.0.0.0
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin aftercare \
    && install -d -o aftercare -g aftercare -m 700 /data
WORKDIR /app
COPY --from=build /opt/aftercare /opt/aftercare
COPY --from=build /app /app
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
ENTRYPOINT ["aftercare"]
CMD ["run"]
