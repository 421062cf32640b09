# docker build -t filepipe .
# docker run --read-only --tmpfs /tmp:noexec,nosuid,size=64m --cap-drop ALL \
#   --security-opt no-new-privileges --stop-timeout 90 -p 3000:3000 -v filepipe:/data filepipe
#
# Nothing here depends on the architecture: `docker buildx build --platform linux/amd64,linux/arm64`.
# The base is named by tag, because a digest grows old in a repository. For builds that can be
# repeated, pin both stages to the digest that `docker buildx imagetools inspect` shows for it.

FROM python:3.12-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /source
RUN python -m venv /opt/filepipe
# Before the source, so that a change there leaves this layer alone.
COPY requirements.lock ./
RUN /opt/filepipe/bin/pip install --require-hashes --only-binary :all: -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY backends backends
COPY filepipe filepipe
RUN pip wheel --no-deps --wheel-dir /wheels . \
    && /opt/filepipe/bin/pip install --no-deps /wheels/filepipe-*.whl \
    && /opt/filepipe/bin/pip check

FROM python:3.12-slim-bookworm
# A new volume takes the owner and the mode of the folder in the image.
RUN install -d -m 0700 -o 65532 -g 65532 /data
COPY --from=build /opt/filepipe /opt/filepipe
ENV PATH=/opt/filepipe/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    DATA_DIR=/data
USER 65532:65532
VOLUME /data
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["filepipe", "health"]
ENTRYPOINT ["filepipe"]
CMD ["serve"]
