# touchlog as one command; compose.yaml runs the projector with it.
FROM python:3.11-slim

WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY producers producers
COPY log log
COPY consumers consumers
COPY projections projections
COPY touchlog touchlog
RUN pip install --no-cache-dir . && rm -rf /src

# The store is a volume that the user without privileges may write.
RUN useradd --create-home touchlog && mkdir /data && chown touchlog /data
USER touchlog
WORKDIR /data
VOLUME /data

ENTRYPOINT ["touchlog"]
