//! What is tried: each target takes any bytes and must neither panic, nor go on without end, nor let anything through.
//!
//! Also built by `fuzz/`, so nothing here is of the tests' own.

mod answers;
pub mod config;
pub mod ground;
mod signatures;
mod webhooks;

/// Tries one input on one target.
pub fn run(name: &str, input: &[u8]) {
    match name {
        "webhook_ghl" => webhooks::ghl(input),
        "webhook_timify" => webhooks::timify(input),
        "webhook_timerex" => webhooks::timerex(input),
        "webhook_extension" => webhooks::extension(input),
        "signatures" => signatures::forged(input),
        "answers" => answers::answer(input),
        "config" => config::text(input),
        other => panic!("{other} is no target"),
    }
}
