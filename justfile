# `just` lists these. What each runs can be typed by hand, too.

_default:
    @just --list

# Everything that CI runs: format, build, tests, lints, documentation, the demo, the guards.
check:
    .ci/run

# The tests, on both databases where PostgreSQL can be had.
test *ARGS:
    cargo test {{ ARGS }}

# The story between three stand-ins; `just demo --seed 7`.
demo *ARGS:
    cargo run -- demo {{ ARGS }}

# Stand-ins of the vendors, and a configuration that fits them.
sandbox *ARGS:
    cargo run -- sandbox {{ ARGS }}

# Puts the code into its form.
fmt:
    cargo fmt

# Lints, warnings denied.
lint:
    cargo clippy --all-targets -- -D warnings

# The documentation of the code, warnings denied.
doc *ARGS:
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps {{ ARGS }}

# Takes each guard out and shows that a test then fails.
guards:
    tests/guards/run

# Takes each guard of deciding out and simulates until something is broken; three quarters of an hour.
guards-simulated:
    tests/guards/simulated

# Kills the service, a replica, PostgreSQL, again and again while vendors fail; 3000 kills are about an hour and a half.
kill KILLS="3000" SEED="1":
    LOCKSTEP_KILLS={{ KILLS }} LOCKSTEP_KILL_SEED={{ SEED }} cargo test --release --test it -- --nocapture journeys::kill::

# Tries one reader of bytes from outside with libFuzzer (cargo-fuzz, nightly); see fuzz/README.md.
fuzz TARGET SECONDS="600":
    LOCKSTEP_FUZZ_SECONDS=0 LOCKSTEP_FUZZ_KNOWN=target/fuzz-known cargo test --test fuzz
    cargo +nightly fuzz run -s none {{ TARGET }} fuzz/corpus/{{ TARGET }} target/fuzz-known/{{ TARGET }} -- -max_total_time={{ SECONDS }} -max_len=65536

# Random histories for as long as you like; `just simulate --seeds 200000 --from 1000000`.
simulate *ARGS:
    cargo run --release -- --log off simulate {{ ARGS }}

# Licences, banned crates and sources of the dependencies (cargo-deny; needs no network).
deny:
    cargo deny check bans licenses sources

# Known vulnerabilities of the dependencies (cargo-deny; fetches the advisories).
advisories:
    cargo deny check advisories

# The container image.
image:
    docker build -t lockstep .

# Stand-ins and a service that is connected with them, in containers.
rehearse:
    docker compose --profile sandbox up --build
