# Shortcuts; `just` lists them.

_default:
    @just --list

# format, lints, documentation
check:
    cargo fmt --all
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

# every test on both databases, or those of one crate: just test -p sona-engine
test *args:
    scripts/test {{args}}

# the binary, optimised: just run demo
run *args:
    cargo run --release -- {{args}}

# how long the parts of requests, events and trainings take: just bench score
bench *args:
    cargo bench -p sona-numeric -- {{args}}

# open the API documentation of the crates
docs:
    cargo doc --workspace --no-deps --open
