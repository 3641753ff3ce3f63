FROM rust:1.95-bookworm AS build
WORKDIR /src
# The dependencies first: they change seldom, so that this layer is kept.
COPY Cargo.toml Cargo.lock build.rs ./
RUN mkdir src \
    && echo 'fn main() {}' > src/main.rs \
    && touch src/lib.rs \
    && cargo build --release --locked \
    && rm -r src
COPY migrations migrations
COPY src src
RUN touch src/main.rs src/lib.rs && cargo build --release --locked

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --no-create-home lockstep \
    && install -d -o lockstep -g lockstep -m 0700 /data
COPY --from=build /src/target/release/lockstep /usr/local/bin/lockstep
USER lockstep
WORKDIR /data
VOLUME /data
ENV LOCKSTEP_CONFIG=/etc/lockstep/lockstep.toml
# Webhooks. The ops listener (8081) is not for the world.
EXPOSE 8080
# Live: every worker shows signs of life; ready: webhooks can be recorded. The image has no curl, but bash speaks TCP.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["bash", "-c", "\
    for page in live ready; do \
        exec 3<>/dev/tcp/127.0.0.1/8081 || exit 1; \
        printf 'GET /health/%s HTTP/1.0\\r\\n\\r\\n' $page >&3; \
        read -r _ status _ <&3; \
        [ \"$status\" = 200 ] || exit 1; \
    done"]
ENTRYPOINT ["lockstep"]
CMD ["serve"]
