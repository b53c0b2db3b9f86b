# The server. Build from the repository root: docker build -f docker/server.Dockerfile -t equibatch-server .
ARG RUST_VERSION=1.95

FROM rust:${RUST_VERSION}-slim-bookworm AS build
WORKDIR /src
# Dependencies first: this layer is rebuilt only when a manifest changes.
COPY Cargo.toml Cargo.lock ./
COPY proto proto
COPY server/Cargo.toml server/Cargo.toml
COPY client/Cargo.toml client/Cargo.toml
COPY tests/Cargo.toml tests/Cargo.toml
RUN mkdir -p server/src server/benches client/src tests/src tests/suite \
    && touch server/src/lib.rs client/src/lib.rs tests/src/lib.rs \
    && for bench in $(sed -n '/^\[\[bench\]\]/,/^$/s/^name = "\(.*\)"/\1/p' server/Cargo.toml); do \
         echo 'fn main() {}' > "server/benches/$bench.rs"; done \
    && echo 'fn main() {}' | tee server/src/main.rs client/src/main.rs tests/suite/main.rs > /dev/null \
    && cargo build --release --locked --package equibatch-server
COPY . .
RUN touch server/src/lib.rs server/src/main.rs \
    && cargo build --release --locked --package equibatch-server

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/release/server /usr/local/bin/server
EXPOSE 50051
ENTRYPOINT ["/usr/local/bin/server"]
CMD ["serve", "--data", "/data", "--listen", "0.0.0.0:50051"]
