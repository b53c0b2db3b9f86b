# The client with ONNX Runtime beside it. From the repository root:
#   docker build -f docker/client.Dockerfile -t equibatch-client .
#   docker build -f docker/client.Dockerfile -t equibatch-client:cuda --build-arg DEVICE=cuda .
ARG RUST_VERSION=1.95
# cpu or cuda.
ARG DEVICE=cpu

FROM rust:${RUST_VERSION}-slim-bookworm AS build
WORKDIR /src
COPY . .
# The caches are kept between builds on one machine; what they hold is not part of the image.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked --package equibatch-client && cp target/release/client /client

FROM python:3.11-slim-bookworm AS runtime-cpu
ARG ORT_VERSION=1.31.1
WORKDIR /runtime
RUN python3 -m pip install --no-cache-dir --no-deps --target wheel "onnxruntime==${ORT_VERSION}" \
    && mkdir lib \
    && cp "wheel/onnxruntime/capi/libonnxruntime.so.${ORT_VERSION}" lib/libonnxruntime.so

FROM python:3.11-slim-bookworm AS runtime-cuda
ARG ORT_VERSION=1.31.1
WORKDIR /runtime
# The library, its two providers, and nothing of CUDA: that is in the base image below.
RUN python3 -m pip install --no-cache-dir --no-deps --target wheel "onnxruntime-gpu==${ORT_VERSION}" \
    && mkdir lib \
    && cp "wheel/onnxruntime/capi/libonnxruntime.so.${ORT_VERSION}" lib/libonnxruntime.so \
    && cp wheel/onnxruntime/capi/libonnxruntime_providers_cuda.so wheel/onnxruntime/capi/libonnxruntime_providers_shared.so lib/

FROM gcr.io/distroless/cc-debian12:nonroot AS base-cpu
FROM nvidia/cuda:13.0.0-cudnn-runtime-ubuntu24.04 AS base-cuda

# hadolint ignore=DL3006
FROM runtime-${DEVICE} AS runtime
# hadolint ignore=DL3006
FROM base-${DEVICE}
COPY --from=build /client /usr/local/bin/client
COPY --from=runtime /runtime/lib/ /usr/local/lib/onnxruntime/
ENV ORT_DYLIB_PATH=/usr/local/lib/onnxruntime/libonnxruntime.so
USER 65532:65532
WORKDIR /runs
ENTRYPOINT ["/usr/local/bin/client"]
CMD ["--help"]
