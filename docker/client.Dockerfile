# The client on CPU. Build from the repository root: docker build -f docker/client.Dockerfile -t equibatch-client .
ARG RUST_VERSION=1.95
ARG ORT_VERSION=1.31.1

FROM rust:${RUST_VERSION}-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --package equibatch-client

FROM python:3.11-slim-bookworm AS runtime
ARG ORT_VERSION
RUN pip install --no-cache-dir --no-deps --target /runtime "onnxruntime==${ORT_VERSION}" \
    && cp "/runtime/onnxruntime/capi/libonnxruntime.so.${ORT_VERSION}" /libonnxruntime.so

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/release/client /usr/local/bin/client
COPY --from=runtime /libonnxruntime.so /usr/local/bin/libonnxruntime.so
ENTRYPOINT ["/usr/local/bin/client"]
