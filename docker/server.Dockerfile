# The server: one static binary on an empty image. From the repository root:
#   docker build -f docker/server.Dockerfile -t equibatch-server .
ARG RUST_VERSION=1.95

# Alpine's Rust links with musl, and so statically.
FROM rust:${RUST_VERSION}-alpine AS build
# hadolint ignore=DL3018
RUN apk add --no-cache gcc musl-dev
WORKDIR /src
# Dependencies first: this layer is made again only when a manifest or the contract changes.
COPY Cargo.toml Cargo.lock ./
COPY proto proto
COPY server/Cargo.toml server/Cargo.toml
COPY client/Cargo.toml client/Cargo.toml
COPY tests/Cargo.toml tests/Cargo.toml
COPY docker/stub.sh docker/stub.sh
RUN sh docker/stub.sh && cargo build --release --locked --package equibatch-server
COPY . .
RUN touch server/src/lib.rs server/src/main.rs && cargo build --release --locked --package equibatch-server

FROM scratch
COPY --from=build /src/target/release/server /server
# Nobody. A number, because an empty image knows no names.
USER 65532:65532
EXPOSE 50051 9090
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s CMD ["/server", "health", "127.0.0.1:50051"]
ENTRYPOINT ["/server"]
CMD ["serve", "--data", "/data", "--listen", "0.0.0.0:50051", "--admin", "0.0.0.0:9090"]
