# The server: one static binary on an empty image. From the repository root:
#   docker build -f docker/server.Dockerfile -t equibatch-server .
ARG RUST_VERSION=1.95

# Alpine's Rust links with musl, and so statically.
FROM rust:${RUST_VERSION}-alpine AS build
# hadolint ignore=DL3018
RUN apk add --no-cache gcc musl-dev
WORKDIR /src
COPY . .
# The caches are kept between builds on one machine; what they hold is not part of the image.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked --package equibatch-server && cp target/release/server /server

FROM scratch
COPY --from=build /server /server
# Nobody. A number, because an empty image knows no names.
USER 65532:65532
EXPOSE 50051 9090
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s CMD ["/server", "health", "127.0.0.1:50051"]
ENTRYPOINT ["/server"]
CMD ["serve", "--data", "/data", "--listen", "0.0.0.0:50051", "--admin", "0.0.0.0:9090"]
